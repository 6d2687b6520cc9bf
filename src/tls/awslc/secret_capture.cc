#include "tls/library/secret_capture.h"

#include "tls/octets.h"

namespace headgate {
namespace {

TrafficSecret secret_of(bssl::Span<const std::uint8_t> bytes) {
  return TrafficSecret(std::as_bytes(std::span(bytes.data(), bytes.size())));
}

}  // namespace

CapturingSecrets::CapturingSecrets(const SSL* ssl, SecretCapture* into) : ssl_(ssl), into_(into) {}

// The session that the handshake of TLS 1.3 leaves has the resumption_master_secret in the place where that
// of a ticket has its key.
CapturingSecrets::~CapturingSecrets() {
  if (into_ == nullptr || SSL_is_init_finished(ssl_) != 1 || SSL_version(ssl_) != TLS1_3_VERSION) return;
  bssl::Span<const std::uint8_t> received, sent;
  const SSL_SESSION* session = SSL_get_session(ssl_);
  if (session == nullptr || !bssl::SSL_get_traffic_secrets(ssl_, &received, &sent)) return;
  std::array<std::byte, kMaxSecretBytes> resumption;
  const std::size_t size =
      SSL_SESSION_get_master_key(session, as_octets(resumption.data()), resumption.size());
  const bool serves = SSL_is_server(ssl_) == 1;
  into_->client = secret_of(serves ? received : sent);
  into_->server = secret_of(serves ? sent : received);
  into_->resumption = TrafficSecret(std::span(resumption).first(size));
  OPENSSL_cleanse(resumption.data(), resumption.size());
}

}  // namespace headgate
