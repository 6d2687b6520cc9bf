#include "tls/handshake/negotiated_info.h"

#include <openssl/ssl.h>

namespace headgate {
namespace {

std::string_view words(const char* text) {
  return text != nullptr ? text : std::string_view();
}

// OpenSSL's own name of a group comes from its tables, which live as long as the library.
std::string_view group_of(SSL* ssl) {
  const auto id = static_cast<int>(SSL_get_negotiated_group(ssl));
  return id > 0 ? words(SSL_group_to_name(ssl, id)) : std::string_view();
}

}  // namespace

NegotiatedInfo negotiated_info(SSL* ssl) {
  const unsigned char* protocol = nullptr;
  unsigned int size_bytes = 0;
  SSL_get0_alpn_selected(ssl, &protocol, &size_bytes);
  return {.version = words(SSL_get_version(ssl)),
          .group = group_of(ssl),
          .cipher = words(SSL_CIPHER_standard_name(SSL_get_current_cipher(ssl))),
          .alpn = std::string(reinterpret_cast<const char*>(protocol), size_bytes),
          .resumed = SSL_session_reused(ssl) == 1};
}

std::string_view key_type_word(const StoredCertificate& certificate) {
  switch (certificate.key_type()) {
    case KeyType::kP256:
      return "EC-P-256";
    case KeyType::kP384:
      return "EC-P-384";
    case KeyType::kP521:
      return "EC-P-521";
    case KeyType::kEd25519:
      return "Ed25519";
    case KeyType::kEd448:
      return "Ed448";
    case KeyType::kMlDsa44:
      return "ML-DSA-44";
    case KeyType::kMlDsa65:
      return "ML-DSA-65";
    case KeyType::kMlDsa87:
      return "ML-DSA-87";
    case KeyType::kRsa:
    case KeyType::kRsaPss:
      break;
  }
  if (certificate.key_bits() <= 2048) return "RSA-2048";
  return certificate.key_bits() <= 3072 ? "RSA-3072" : "RSA-4096";
}

}  // namespace headgate
