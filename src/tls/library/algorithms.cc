#include "tls/library/algorithms.h"

#include <algorithm>
#include <cstddef>

#include "base/text_of.h"
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

/// The name that both libraries know: of a group it may be another. OpenSSL and the metrics have the name of
/// SEC 2 too.
std::string common_name(const std::string& group) {
  return group == "secp256r1" ? "P-256" : group;
}

bool has_group(SSL_CTX* context, const std::string& group) {
  return ask_openssl([&] { return SSL_CTX_set1_groups_list(context, common_name(group).c_str()); }) == 1;
}

/// OpenSSL passes over a suite that it lacks, and AWS-LC does so beside one that it has.
bool has_suite(SSL_CTX* context, const std::string& suite) {
  if (ask_openssl([&] { return SSL_CTX_set_ciphersuites(context, suite.c_str()); }) != 1) return false;
  const STACK_OF(SSL_CIPHER)* ciphers = SSL_CTX_get_ciphers(context);
  for (int i = 0; i < static_cast<int>(sk_SSL_CIPHER_num(ciphers)); ++i) {
    if (text_of(SSL_CIPHER_standard_name(sk_SSL_CIPHER_value(ciphers, i))) == suite) return true;
  }
  return false;
}

/// Gives `set` the names of a setting that `context` has. `kind` is what they name.
template <class Has, class Set>
Result<void> set_known(SSL_CTX* context, const std::vector<std::string>& wanted, const char* kind, Has has,
                       Set set) {
  if (wanted.empty()) return {};
  std::vector<std::string> known;
  for (const std::string& name : wanted) {
    if (has(context, name)) known.push_back(common_name(name));
  }
  if (known.empty())
    return fail(ErrorKind::kInvalid,
                LibraryContext::version() + " has no " + kind + " called " + joined(wanted));
  const std::string list = joined(known);
  return call_openssl(ErrorKind::kInvalid, list, [&] { return set(context, list.c_str()); });
}

/// The places of the names in a setting that `context` lacks. Empty where it lacks all of them, which
/// set_known() refuses.
template <class Has>
std::vector<std::size_t> left_out(SSL_CTX* context, const std::vector<std::string>& wanted, Has has) {
  std::vector<std::size_t> missing;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (!has(context, wanted[i])) missing.push_back(i);
  }
  return missing.size() == wanted.size() ? std::vector<std::size_t>() : missing;
}

Result<void> set_groups(SSL_CTX* context, const config::Tls& settings) {
  return set_known(context, settings.groups, "group", has_group,
                   [](SSL_CTX* of, const char* list) { return SSL_CTX_set1_groups_list(of, list); });
}

Result<void> set_cipher_suites(SSL_CTX* context, const config::Tls& settings) {
  return set_known(context, settings.cipher_suites, "cipher suite", has_suite,
                   [](SSL_CTX* of, const char* list) { return SSL_CTX_set_ciphersuites(of, list); });
}

Result<void> set_ciphers(SSL_CTX* context, const config::Tls& settings) {
  const std::string ciphers = settings.ciphers.empty() ? kDefaultTls12Ciphers : settings.ciphers;
  if (!has_security_levels() && settings.ciphers.find("@SECLEVEL") != std::string::npos)
    return fail(ErrorKind::kInvalid,
                LibraryContext::version() + " has no security levels: leave @SECLEVEL out");
  return call_openssl(ErrorKind::kInvalid, ciphers,
                      [&] { return SSL_CTX_set_cipher_list(context, (ciphers + never_offered()).c_str()); });
}

/// The names of post-quantum groups have the key encapsulation mechanism in them: FIPS 203.
bool is_post_quantum(const std::string& group) {
  return group.find("MLKEM") != std::string::npos;
}

/// One line for each group that no client can get although it is listed. The loss of the last post-quantum
/// group is a loss of protection, so the line says so.
void warn_of_missing_groups(SSL_CTX* context, const config::Tls& settings, Diagnostics& out) {
  const bool post_quantum = std::ranges::any_of(settings.groups, [&](const std::string& group) {
    return is_post_quantum(group) && has_group(context, group);
  });
  const bool is_default = settings.groups == config::Tls{}.groups;
  for (const std::size_t i : left_out(context, settings.groups, has_group)) {
    const bool loses = !post_quantum && is_post_quantum(settings.groups[i]);
    out.push_back({is_default ? Severity::kNote : Severity::kWarning, "",
                   LibraryContext::version() + " lacks the group " + settings.groups[i] +
                       ", which is left out" +
                       (loses ? ": no client gets a post-quantum key exchange; OpenSSL 3.5 has it" : ""),
                   "groups[" + std::to_string(i) + ']'});
  }
}

void warn_of_missing_suites(SSL_CTX* context, const config::Tls& settings, Diagnostics& out) {
  for (const std::size_t i : left_out(context, settings.cipher_suites, has_suite)) {
    out.push_back({Severity::kWarning, "",
                   LibraryContext::version() + " lacks the cipher suite " + settings.cipher_suites[i] +
                       ", which is left out",
                   "cipher_suites[" + std::to_string(i) + ']'});
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
  warn_of_missing_suites(context.get(), settings, out);
  check("cipher_suites", set_cipher_suites(context.get(), settings));
  // A fault of one word says more than the library's refusal of the list.
  Diagnostics words;
  check_cipher_words(settings, words);
  if (!has_errors(words)) check("ciphers", set_ciphers(context.get(), settings));
  out.insert(out.end(), words.begin(), words.end());
}

}  // namespace headgate
