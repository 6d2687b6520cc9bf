#include "tls/handshake/trial_handshake.h"

#include <map>
#include <string>
#include <vector>

#include "tls/certificate/certificate_material.h"
#include "tls/library/algorithms.h"
#include "tls/library/openssl_call.h"
#include "tls/library/ssl_options.h"
#include "tls/library/tls_status.h"

namespace headgate {
namespace {

// A handshake has at most three flights from each side, a HelloRetryRequest included.
constexpr int kMostRounds = 8;
constexpr std::size_t kPipeBytes = 64 * 1024;

using Kinds = std::map<KeyType, const StoredCertificate*>;

/// One certificate of each kind of key.
Kinds kinds_of(const CertificateStore& certificates) {
  Kinds kinds;
  certificates.for_each([&](const StoredCertificate& one) { kinds.try_emplace(one.key_type(), &one); });
  return kinds;
}

/// ML-DSA is defined for TLS 1.3 alone.
bool exists_in(KeyType type, std::uint16_t version) {
  const bool ml_dsa = type == KeyType::kMlDsa44 || type == KeyType::kMlDsa65 || type == KeyType::kMlDsa87;
  return version == TLS1_3_VERSION || !ml_dsa;
}

/// `settings` with groups that every version has. Those of the configuration may suit one version alone,
/// which is no fault of the ciphers.
config::Tls with_common_groups(config::Tls settings) {
  settings.groups = {"X25519", "P-256", "P-384", "P-521"};
  return settings;
}

SslCtxPtr server_context(const config::Tls& settings, const StoredCertificate& certificate,
                         std::uint16_t version) {
  SslCtxPtr context(SSL_CTX_new(TLS_server_method()));
  const auto material = materialise(certificate, nullptr);
  const bool made = context != nullptr && material && set_algorithms(context.get(), settings) &&
                    SSL_CTX_set_min_proto_version(context.get(), version) == 1 &&
                    SSL_CTX_set_max_proto_version(context.get(), version) == 1 &&
                    SSL_CTX_use_cert_and_key(context.get(), material->leaf.get(), material->key.get(),
                                             material->chain.get(), 1) == 1;
  return made ? std::move(context) : nullptr;
}

/// A client that takes everything that this library has.
SslCtxPtr client_context(const config::Tls& settings) {
  config::Tls tried = settings;
  tried.ciphers.clear();
  tried.cipher_suites.clear();
  SslCtxPtr context(SSL_CTX_new(TLS_client_method()));
  const bool made =
      context != nullptr && set_algorithms(context.get(), tried) && take_every_cipher(context.get());
  if (made) SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
  return made ? std::move(context) : nullptr;
}

bool shake_hands(SSL_CTX* of_server, SSL_CTX* of_client) {
  const SslPtr server(SSL_new(of_server));
  const SslPtr client(SSL_new(of_client));
  BIO* servers_end = nullptr;
  BIO* clients_end = nullptr;
  if (server == nullptr || client == nullptr ||
      BIO_new_bio_pair(&servers_end, kPipeBytes, &clients_end, kPipeBytes) != 1)
    return false;
  SSL_set_bio(server.get(), servers_end, servers_end);
  SSL_set_bio(client.get(), clients_end, clients_end);
  SSL_set_accept_state(server.get());
  SSL_set_connect_state(client.get());
  for (int round = 0; round < kMostRounds; ++round) {
    const int said = SSL_do_handshake(client.get());
    const int answered = SSL_do_handshake(server.get());
    if (said == 1 && answered == 1) return true;
    if (tls_answer(server.get(), answered, 0).status == IoStatus::kFailed) return false;
  }
  return false;
}

bool works(const config::Tls& settings, const StoredCertificate& certificate, std::uint16_t version) {
  return ask_openssl([&] {
    const SslCtxPtr server = server_context(settings, certificate, version);
    const SslCtxPtr client = client_context(settings);
    return server != nullptr && client != nullptr && shake_hands(server.get(), client.get());
  });
}

/// `key` lists the ciphers of `version`.
void try_version(const config::Tls& settings, const Kinds& kinds, std::uint16_t version, const char* key,
                 Diagnostics& out) {
  std::vector<const StoredCertificate*> failing;
  std::size_t tried = 0;
  for (const auto& [type, certificate] : kinds) {
    if (!exists_in(type, version)) continue;
    ++tried;
    if (!works(settings, *certificate, version)) failing.push_back(certificate);
  }
  const Severity severity = failing.size() == tried ? Severity::kError : Severity::kWarning;
  for (const StoredCertificate* one : failing) {
    out.push_back({severity, "",
                   std::string("none of these ciphers works in TLS ") +
                       (version == TLS1_2_VERSION ? "1.2" : "1.3") + " with the " +
                       std::string(name(one->key_type())) + " key of " + std::string(one->file()) +
                       ": every such handshake would fail",
                   key});
  }
}

}  // namespace

void try_handshakes(const config::Tls& settings, const CertificateStore& certificates, Diagnostics& out) {
  const bool listed12 = !settings.ciphers.empty() && settings.min_version == config::TlsVersion::kTls12;
  const bool listed13 = !settings.cipher_suites.empty() && settings.max_version == config::TlsVersion::kTls13;
  if (!listed12 && !listed13) return;
  const Kinds kinds = kinds_of(certificates);
  const config::Tls tried = with_common_groups(settings);
  if (listed12) try_version(tried, kinds, TLS1_2_VERSION, "ciphers", out);
  if (listed13) try_version(tried, kinds, TLS1_3_VERSION, "cipher_suites", out);
}

}  // namespace headgate
