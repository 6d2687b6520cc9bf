#include "tls/library/algorithms.h"

#include "tls/library/cipher_words.h"
#include "tls/library/library_context.h"
#include "tls/library/openssl_call.h"
#include "tls/library/ssl_options.h"

namespace headgate {
namespace {

// Only ciphers with forward secrecy and AEAD. AES-128 comes first, because 256 bits gain nothing here and
// cost a tenth of the bulk rate.
constexpr const char* kDefaultTls12Ciphers =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text.append(text.empty() ? "" : ":").append(word);
  return text;
}

bool has_group(SSL_CTX* context, const std::string& group) {
  return ask_openssl([&] { return SSL_CTX_set1_groups_list(context, group.c_str()); }) == 1;
}

Result<void> set_groups(SSL_CTX* context, const config::Tls& settings) {
  std::vector<std::string> groups;
  for (const std::string& group : settings.groups) {
    if (has_group(context, group)) groups.push_back(group);
  }
  if (settings.groups.empty()) return {};
  if (groups.empty())
    return fail(ErrorKind::kInvalid,
                LibraryContext::version() + " has no group called " + joined(settings.groups));
  const std::string list = joined(groups);
  return call_openssl(ErrorKind::kInvalid, list,
                      [&] { return SSL_CTX_set1_groups_list(context, list.c_str()); });
}

Result<void> set_cipher_suites(SSL_CTX* context, const config::Tls& settings) {
  const std::string suites = joined(settings.cipher_suites);
  if (suites.empty()) return {};
  return call_openssl(ErrorKind::kInvalid, suites,
                      [&] { return SSL_CTX_set_ciphersuites(context, suites.c_str()); });
}

Result<void> set_ciphers(SSL_CTX* context, const config::Tls& settings) {
  const char* ciphers = settings.ciphers.empty() ? kDefaultTls12Ciphers : settings.ciphers.c_str();
  if (!has_security_levels() && settings.ciphers.find("@SECLEVEL") != std::string::npos)
    return fail(ErrorKind::kInvalid,
                LibraryContext::version() + " has no security levels: leave @SECLEVEL out");
  return call_openssl(ErrorKind::kInvalid, ciphers,
                      [&] { return SSL_CTX_set_cipher_list(context, ciphers); });
}

/// The names of post-quantum groups have the key encapsulation mechanism in them: FIPS 203.
bool is_post_quantum(const std::string& group) {
  return group.find("MLKEM") != std::string::npos;
}

/// One line for each group that no client can get although it is listed. The loss of the last post-quantum
/// group is a loss of protection, so the line says so.
void warn_of_missing_groups(SSL_CTX* context, const config::Tls& settings, Diagnostics& out) {
  std::vector<std::size_t> missing;
  bool post_quantum = false;
  for (std::size_t i = 0; i < settings.groups.size(); ++i) {
    const bool known = has_group(context, settings.groups[i]);
    if (!known) missing.push_back(i);
    post_quantum = post_quantum || (known && is_post_quantum(settings.groups[i]));
  }
  if (missing.size() == settings.groups.size()) return;  // set_groups() has refused them
  const bool is_default = settings.groups == config::Tls{}.groups;
  for (const std::size_t i : missing) {
    const bool loses = !post_quantum && is_post_quantum(settings.groups[i]);
    out.push_back({is_default ? Severity::kNote : Severity::kWarning, "",
                   LibraryContext::version() + " lacks the group " + settings.groups[i] +
                       ", which is left out" +
                       (loses ? ": no client gets a post-quantum key exchange; OpenSSL 3.5 has it" : ""),
                   "groups[" + std::to_string(i) + ']'});
  }
}

}  // namespace

Result<void> set_algorithms(SSL_CTX* context, const config::Tls& settings) {
  if (const auto set = set_groups(context, settings); !set) return fail_in("groups", set.error());
  if (const auto set = set_cipher_suites(context, settings); !set)
    return fail_in("cipher_suites", set.error());
  if (const auto set = set_ciphers(context, settings); !set) return fail_in("ciphers", set.error());
  return {};
}

void check_algorithms(const config::Tls& settings, Diagnostics& out) {
  const SslCtxPtr context(SSL_CTX_new(TLS_server_method()));
  const auto check = [&](const char* key, const Result<void>& set) {
    if (!set) out.push_back({Severity::kError, "", set.error().what, key});
  };
  warn_of_missing_groups(context.get(), settings, out);
  check("groups", set_groups(context.get(), settings));
  check("cipher_suites", set_cipher_suites(context.get(), settings));
  // A fault of one word says more than the library's refusal of the list.
  Diagnostics words;
  check_cipher_words(settings, words);
  if (!has_errors(words)) check("ciphers", set_ciphers(context.get(), settings));
  out.insert(out.end(), words.begin(), words.end());
}

}  // namespace headgate
