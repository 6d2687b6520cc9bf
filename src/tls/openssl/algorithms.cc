#include "tls/openssl/algorithms.h"

#include "tls/openssl/openssl_call.h"

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

Result<void> set_groups(SSL_CTX* context, const config::Tls& settings, std::vector<std::string>& missing) {
  std::vector<std::string> groups;
  for (const std::string& group : settings.groups) {
    const bool known = ask_openssl([&] { return SSL_CTX_set1_groups_list(context, group.c_str()); }) == 1;
    (known ? groups : missing).push_back(group);
  }
  if (settings.groups.empty()) return {};
  if (groups.empty())
    return fail(ErrorKind::kInvalid, "this OpenSSL has no group called " + joined(settings.groups));
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
  return call_openssl(ErrorKind::kInvalid, ciphers,
                      [&] { return SSL_CTX_set_cipher_list(context, ciphers); });
}

}  // namespace

Result<void> set_algorithms(SSL_CTX* context, const config::Tls& settings) {
  std::vector<std::string> missing;
  const auto named = [](const char* key, const Error& error) {
    return fail(error.kind, std::string(key) + ": " + error.what);
  };
  if (const auto set = set_groups(context, settings, missing); !set) return named("groups", set.error());
  if (const auto set = set_cipher_suites(context, settings); !set) return named("cipher_suites", set.error());
  if (const auto set = set_ciphers(context, settings); !set) return named("ciphers", set.error());
  return {};
}

std::vector<std::string> check_algorithms(const config::Tls& settings, Diagnostics& out) {
  const SslCtxPtr context(SSL_CTX_new(TLS_server_method()));
  const auto check = [&](const char* key, const Result<void>& set) {
    if (!set) out.push_back({Severity::kError, "", set.error().what, key});
  };
  std::vector<std::string> missing;
  check("groups", set_groups(context.get(), settings, missing));
  check("cipher_suites", set_cipher_suites(context.get(), settings));
  check("ciphers", set_ciphers(context.get(), settings));
  return missing;
}

}  // namespace headgate
