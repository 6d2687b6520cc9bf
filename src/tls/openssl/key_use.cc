#include "tls/library/key_use.h"

#include <utility>

#include "tls/handshake/ssl_extra_data.h"

namespace headgate {
namespace {

/// OpenSSL asks for the certificate when it knows that the handshake will be a full one, before it exchanges
/// keys and signs. Headgate has chosen the certificate already, and uses this callback to wait for the
/// permit. Each ClientHello needs a permit, so the one behind a HelloRetryRequest does, too.
int certificate(SSL* ssl, void*) {
  constexpr int kGoOn = 1, kPause = -1;
  return std::exchange(extra_data_of(ssl)->full_permitted, false) ? kGoOn : kPause;
}

}  // namespace

bool present(SSL* ssl, X509* leaf, EVP_PKEY* key, STACK_OF(X509) * chain) {
  // Otherwise the certificate of the context would stay a candidate when its key is of another type.
  SSL_certs_clear(ssl);
  return SSL_use_cert_and_key(ssl, leaf, key, chain, 1) == 1;
}

bool present(SSL_CTX* context, X509* leaf, EVP_PKEY* key, STACK_OF(X509) * chain) {
  return SSL_CTX_use_cert_and_key(context, leaf, key, chain, 1) == 1;
}

void pause_for_permits(SSL_CTX* context) {
  SSL_CTX_set_cert_cb(context, certificate, nullptr);
}

void begin_offloading(SSL* ssl) {
  SSL_set_mode(ssl, SSL_MODE_ASYNC);
}

void end_offloading(SSL* ssl) {
  SSL_clear_mode(ssl, SSL_MODE_ASYNC);
}

}  // namespace headgate
