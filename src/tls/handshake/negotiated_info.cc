#include "tls/handshake/negotiated_info.h"

#include <openssl/ssl.h>

#include "base/text_of.h"
#include "tls/library/handshake_facts.h"

namespace headgate {
namespace {

/// RFC 5246, section 7.4.7.1: the client that can use the secret which it encrypted with our key knows us.
bool encrypts_for_our_key(const SSL* ssl) {
  return SSL_CIPHER_get_kx_nid(SSL_get_current_cipher(ssl)) == NID_kx_rsa;
}

/// A resumed handshake is not signed: RFC 8446, section 2.2.
std::string_view signature_scheme_of(SSL* ssl, const StoredCertificate& certificate) {
  if (SSL_session_reused(ssl) == 1 || encrypts_for_our_key(ssl)) return {};
  return own_signature_scheme(ssl, certificate.key_type());
}

/// OpenSSL's table of objects holds the word as long as the library lives.
std::string_view certificate_signature_of(SSL* ssl) {
  const X509* own = SSL_get_certificate(ssl);
  return own == nullptr ? std::string_view() : text_of(OBJ_nid2sn(X509_get_signature_nid(own)));
}

}  // namespace

NegotiatedInfo negotiated_info(SSL* ssl, const StoredCertificate& certificate) {
  const unsigned char* protocol = nullptr;
  unsigned int size_bytes = 0;
  SSL_get0_alpn_selected(ssl, &protocol, &size_bytes);
  return {.version = text_of(SSL_get_version(ssl)),
          .group = negotiated_group(ssl),
          .cipher = text_of(SSL_CIPHER_standard_name(SSL_get_current_cipher(ssl))),
          .openssl_cipher = text_of(SSL_CIPHER_get_name(SSL_get_current_cipher(ssl))),
          .signature_scheme = signature_scheme_of(ssl, certificate),
          .client_signature_scheme = client_signature_scheme(ssl),
          .certificate_signature = certificate_signature_of(ssl),
          .alpn = std::string(reinterpret_cast<const char*>(protocol), size_bytes),
          .resumed = SSL_session_reused(ssl) == 1};
}

std::string key_algorithm_text(const StoredCertificate& certificate) {
  const KeyType type = certificate.key_type();
  if (is_rsa(type)) return "RSA" + std::to_string(certificate.key_bits());
  switch (type) {
    case KeyType::kP256:
      return "EC256";
    case KeyType::kP384:
      return "EC384";
    case KeyType::kP521:
      return "EC521";
    default:
      return std::string(key_type_word(certificate));
  }
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
