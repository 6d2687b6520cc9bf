#include "tls/library/cipher_words.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "config/nearest.h"
#include "config/notation.h"
#include "tls/library/library_context.h"
#include "tls/library/openssl_call.h"
#include "tls/library/openssl_types.h"
#include "tls/library/ssl_options.h"

namespace headgate {
namespace {

/// Words for sets of ciphers that OpenSSL has, or had; some sets are empty today: openssl-ciphers(1), "CIPHER
/// STRINGS".
constexpr std::string_view kCipherSets =
    "ALL COMPLEMENTOFALL DEFAULT COMPLEMENTOFDEFAULT HIGH MEDIUM LOW EXP EXPORT EXPORT40 EXPORT56 "
    "eNULL NULL aNULL kRSA aRSA RSA kDHE kEDH DH DHE EDH ADH kDHr kDHd kDH kEECDH kECDHE ECDH ECDHE "
    "EECDH AECDH kECDHr kECDHe kECDH aDSS DSS aDH aECDH aECDSA ECDSA SSLv2 SSLv3 TLSv1 TLSv1.0 TLSv1.2 "
    "AES128 AES256 AES AESGCM AESCCM AESCCM8 ARIA128 ARIA256 ARIA ARIAGCM CAMELLIA128 CAMELLIA256 "
    "CAMELLIA CHACHA20 CBC SUITEB128 SUITEB128ONLY SUITEB128C2 SUITEB192 3DES DES RC4 RC2 IDEA SEED MD5 SHA1 "
    "SHA SHA256 SHA384 PSK kPSK kECDHEPSK "
    "kDHEPSK kRSAPSK aPSK SRP kSRP aSRP kGOST aGOST aGOST01 GOST94 GOST89MAC";
/// What names of ciphers are made of; a name of these alone is no slip of the pen.
constexpr std::string_view kCipherParts =
    "ECDHE ECDH DHE DH EDH ADH AECDH RSA ECDSA DSS PSK SRP EXP EXP1024 AES AES128 AES256 CAMELLIA128 "
    "CAMELLIA256 ARIA ARIA128 ARIA256 CHACHA20 POLY1305 DES CBC3 CBC 3DES EDE RC4 RC2 SEED IDEA NULL "
    "GCM CCM CCM8 MD5 SHA SHA256 SHA384";

std::vector<std::string_view> words_between(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> words;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of(separators), text.size());
    if (end > 0) words.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

bool lists_word(std::string_view list, std::string_view word) {
  const auto words = words_between(list, " ");
  return std::ranges::find(words, word) != words.end();
}

/// Asks the library, at the security level that allows every cipher.
class KnownCiphers {
 public:
  KnownCiphers() : context_(SSL_CTX_new(TLS_server_method())) {
    static_cast<void>(take_every_cipher(context_.get()));
  }

  [[nodiscard]] bool has_cipher_for(std::string_view word) const {
    const std::string list = std::string(word) + never_offered();
    return ask_openssl([&] { return SSL_CTX_set_cipher_list(context_.get(), list.c_str()); }) == 1;
  }
  [[nodiscard]] std::vector<std::string> words() const {
    const auto sets = words_between(kCipherSets, " ");
    std::vector<std::string> all(sets.begin(), sets.end());
    ask_openssl([&] { return SSL_CTX_set_cipher_list(context_.get(), "ALL:COMPLEMENTOFALL"); });
    const STACK_OF(SSL_CIPHER)* ciphers = SSL_CTX_get_ciphers(context_.get());
    for (int i = 0; i < static_cast<int>(sk_SSL_CIPHER_num(ciphers)); ++i) {
      const std::string name = SSL_CIPHER_get_name(sk_SSL_CIPHER_value(ciphers, i));
      if (!name.starts_with("TLS_")) all.push_back(name);  // TLS 1.3 has a key of its own
    }
    return all;
  }

 private:
  SslCtxPtr context_;
};

bool is_made_of_parts(std::string_view word) {
  const auto parts = words_between(word, "-");
  return parts.size() > 1 &&
         std::ranges::all_of(parts, [](std::string_view part) { return lists_word(kCipherParts, part); });
}

void warn_of_missing(std::string_view word, bool is_kind, Diagnostics& out) {
  const char* lacks = is_kind ? " has no cipher of the kind " : " lacks the cipher ";
  out.push_back({Severity::kWarning, "",
                 LibraryContext::version() + lacks + config::quote(word) + ", which is left out", "ciphers"});
}

/// One element of the list: a word, or words with a plus between them.
void check_element(const KnownCiphers& known, std::string_view element, bool takes_away, Diagnostics& out) {
  const auto words = words_between(element, "+");
  bool missing = false;
  for (const std::string_view word : words) {
    if (known.has_cipher_for(word)) continue;
    const bool is_kind = lists_word(kCipherSets, word);
    if (is_kind || is_made_of_parts(word)) {
      if (!takes_away) warn_of_missing(word, is_kind, out);
    } else {
      out.push_back({Severity::kError, "",
                     config::quote(word) +
                         " is no cipher and no word for ciphers; without this check it "
                         "would be passed over" +
                         config::suggestion(word, known.words()),
                     "ciphers"});
    }
    missing = true;
  }
  if (!missing && !takes_away && words.size() > 1 && !known.has_cipher_for(element))
    warn_of_missing(element, true, out);
}

}  // namespace

void check_cipher_words(const config::Tls& settings, Diagnostics& out) {
  if (settings.ciphers.empty()) return;
  const KnownCiphers known;
  for (std::string_view element : words_between(settings.ciphers, ":,; ")) {
    const bool takes_away = element.starts_with('!') || element.starts_with('-');
    if (takes_away || element.starts_with('+')) element.remove_prefix(1);
    if (element.starts_with('@')) continue;  // "@STRENGTH": OpenSSL refuses what it does not know
    check_element(known, element, takes_away, out);
  }
}

}  // namespace headgate
