#include "tls/library/ssl_options.h"

#include <array>

namespace headgate {

// In TLS 1.3 AWS-LC's servers choose so by themselves. In TLS 1.2 it has no such option.
void prefer_chacha_where_clients_do(SSL_CTX*) {}

bool take_every_cipher(SSL_CTX* context) {
  return SSL_CTX_set_cipher_list(context, "ALL") == 1;  // those of TLS 1.3 are never fewer
}

// Its defaults lack Ed25519.
void take_signatures_of_peers(SSL_CTX* context) {
  constexpr std::array<std::uint16_t, 10> kSchemes{
      SSL_SIGN_ECDSA_SECP256R1_SHA256, SSL_SIGN_ECDSA_SECP384R1_SHA384,
      SSL_SIGN_ECDSA_SECP521R1_SHA512, SSL_SIGN_ED25519,
      SSL_SIGN_RSA_PSS_RSAE_SHA256,    SSL_SIGN_RSA_PSS_RSAE_SHA384,
      SSL_SIGN_RSA_PSS_RSAE_SHA512,    SSL_SIGN_RSA_PKCS1_SHA256,
      SSL_SIGN_RSA_PKCS1_SHA384,       SSL_SIGN_RSA_PKCS1_SHA512};
  SSL_CTX_set_verify_algorithm_prefs(context, kSchemes.data(), kSchemes.size());
}

bool can_present(KeyType type) {
  switch (type) {
    case KeyType::kP256:
    case KeyType::kP384:
    case KeyType::kP521:
    case KeyType::kRsa:
    case KeyType::kEd25519:
      return true;
    default:
      return false;
  }
}

bool has_security_levels() {
  return false;
}

}  // namespace headgate
