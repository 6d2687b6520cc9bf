#include "tls/openssl/algorithms.h"

#include "tls/openssl/openssl_error.h"

namespace headgate {
namespace {

// Forward secrecy and AEAD alone. AES-128 comes first because 256 bits buy nothing here and cost a tenth of
// bulk.
constexpr const char* kDefaultTls12Ciphers =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text.append(text.empty() ? "" : ":").append(word);
  return text;
}

Result<void> set_groups(SSL_CTX* context, const config::Tls& settings, std::vector<std::string>& missing) {
  std::vector<std::string> groups;
  for (const std::string& group : settings.groups) {
    const bool known = SSL_CTX_set1_groups_list(context, group.c_str()) == 1;
    (known ? groups : missing).push_back(group);
  }
  static_cast<void>(take_openssl_error());  // what was said about the missing ones
  if (settings.groups.empty()) return {};
  if (groups.empty())
    return fail(ErrorKind::kInvalid, "this OpenSSL has no group called " + joined(settings.groups));
  if (SSL_CTX_set1_groups_list(context, joined(groups).c_str()) != 1)
    return fail_openssl(ErrorKind::kInvalid, joined(groups));
  return {};
}

Result<void> set_cipher_suites(SSL_CTX* context, const config::Tls& settings) {
  const std::string suites = joined(settings.cipher_suites);
  if (suites.empty() || SSL_CTX_set_ciphersuites(context, suites.c_str()) == 1) return {};
  return fail_openssl(ErrorKind::kInvalid, suites);
}

Result<void> set_ciphers(SSL_CTX* context, const config::Tls& settings) {
  const char* ciphers = settings.ciphers.empty() ? kDefaultTls12Ciphers : settings.ciphers.c_str();
  if (SSL_CTX_set_cipher_list(context, ciphers) == 1) return {};
  return fail_openssl(ErrorKind::kInvalid, ciphers);
}

}  // namespace

Result<void> set_algorithms(SSL_CTX* context, const config::Tls& settings,
                            std::vector<std::string>& missing) {
  const auto named = [](const char* key, const Error& error) {
    return fail(error.kind, std::string(key) + ": " + error.what);
  };
  if (const auto set = set_groups(context, settings, missing); !set) return named("groups", set.error());
  if (const auto set = set_cipher_suites(context, settings); !set) return named("cipher_suites", set.error());
  if (const auto set = set_ciphers(context, settings); !set) return named("ciphers", set.error());
  return {};
}

void check_algorithms(const config::Tls& settings, Diagnostics& out) {
  const SslCtxPtr context(SSL_CTX_new(TLS_server_method()));
  const auto check = [&](const char* key, const Result<void>& set) {
    if (!set) out.push_back({Severity::kError, "", set.error().what, key});
  };
  std::vector<std::string> missing;
  check("groups", set_groups(context.get(), settings, missing));
  check("cipher_suites", set_cipher_suites(context.get(), settings));
  check("ciphers", set_ciphers(context.get(), settings));
}

}  // namespace headgate
