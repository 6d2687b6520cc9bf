#include "tls/handshake/handshake_failure.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

namespace headgate {
namespace {

bool is_received_alert(unsigned long openssl_error) {
  const int reason = ERR_GET_REASON(openssl_error);
  return ERR_GET_LIB(openssl_error) == ERR_LIB_SSL && reason > SSL_AD_REASON_OFFSET &&
         reason < SSL_AD_REASON_OFFSET + 256;
}

HandshakeFailure failure_of_tls_reason(int reason) {
  switch (reason) {
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
    case SSL_R_NO_CIPHERS_SPECIFIED:
    case SSL_R_UNKNOWN_CIPHER_RETURNED:
      return HandshakeFailure::kNoSharedCipher;
    case SSL_R_NO_SUITABLE_KEY_SHARE:
    case SSL_R_NO_SUITABLE_GROUPS:
    case SSL_R_NO_SHARED_GROUPS:
      return HandshakeFailure::kNoSharedGroup;
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_VERSION_TOO_HIGH:
    case SSL_R_INAPPROPRIATE_FALLBACK:
    case SSL_R_NO_PROTOCOLS_AVAILABLE:
      return HandshakeFailure::kUnsupportedVersion;
    case SSL_R_NO_APPLICATION_PROTOCOL:
      return HandshakeFailure::kNoSharedAlpn;
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      return HandshakeFailure::kClientCertificateMissing;
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
      return HandshakeFailure::kClientCertificateUntrusted;
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
      return HandshakeFailure::kPlaintextHttp;
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_UNKNOWN_PROTOCOL:
      return HandshakeFailure::kNotTls;
    case SSL_R_UNEXPECTED_EOF_WHILE_READING:
      return HandshakeFailure::kClientLeft;
    default:
      return HandshakeFailure::kProtocolError;
  }
}

/// Libraries that work only on the peer's bytes: shares, signatures and certificates.
bool is_about_peer_bytes(int library) {
  return library == ERR_LIB_EC || library == ERR_LIB_RSA || library == ERR_LIB_ASN1 ||
         library == ERR_LIB_X509;
}

}  // namespace

HandshakeFailure failure_of(unsigned long openssl_error) {
  if (openssl_error == 0) return HandshakeFailure::kInternal;
  if (is_received_alert(openssl_error)) return HandshakeFailure::kPeerAlert;
  const int reason = ERR_GET_REASON(openssl_error);
  if (ERR_FATAL_ERROR(openssl_error))
    return HandshakeFailure::kInternal;  // out of memory, or a fault within OpenSSL
  const int library = ERR_GET_LIB(openssl_error);
  if (library == ERR_LIB_SSL) return failure_of_tls_reason(reason);
  return is_about_peer_bytes(library) ? HandshakeFailure::kProtocolError : HandshakeFailure::kInternal;
}

HandshakeFailure failure_at_server(SSL* ssl, unsigned long openssl_error) {
  const HandshakeFailure failure = failure_of(openssl_error);
  // A record of a strange version: the ClientHello before it was TLS.
  if (failure == HandshakeFailure::kNotTls) return HandshakeFailure::kProtocolError;
  if (failure != HandshakeFailure::kNoSharedCipher) return failure;
  const bool groups_offered = SSL_get1_groups(ssl, nullptr) > 0;
  return groups_offered && SSL_get_shared_group(ssl, -1) == 0 ? HandshakeFailure::kNoSharedGroup : failure;
}

HandshakeFailure failure_of_verification(long verify_result) {
  switch (verify_result) {
    case X509_V_OK:
      return HandshakeFailure::kNone;
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return HandshakeFailure::kClientCertificateExpired;
    case X509_V_ERR_CERT_REVOKED:
      return HandshakeFailure::kClientCertificateRevoked;
    case X509_V_ERR_CERT_REJECTED:
      return HandshakeFailure::kClientCertificateNotAllowed;
    case X509_V_ERR_OUT_OF_MEM:
    case X509_V_ERR_UNSPECIFIED:
      return HandshakeFailure::kInternal;
    default:
      return HandshakeFailure::kClientCertificateUntrusted;
  }
}

ClientCertificateFault fault_of_verification(long verify_result) {
  switch (verify_result) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return ClientCertificateFault::kExpired;
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return ClientCertificateFault::kNotYetValid;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
      return ClientCertificateFault::kSelfSigned;
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_UNTRUSTED:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
      return ClientCertificateFault::kUnknownCa;
    case X509_V_ERR_INVALID_PURPOSE:
      return ClientCertificateFault::kWrongPurpose;
    case X509_V_ERR_EE_KEY_TOO_SMALL:
    case X509_V_ERR_CA_KEY_TOO_SMALL:
    case X509_V_ERR_CA_MD_TOO_WEAK:
      return ClientCertificateFault::kWeak;
    default:
      return ClientCertificateFault::kOther;
  }
}

ClientCertificateFault fault_of_refusal(HandshakeFailure why) {
  switch (why) {
    case HandshakeFailure::kClientCertificateExpired:
      return ClientCertificateFault::kExpired;
    case HandshakeFailure::kClientCertificateRevoked:
      return ClientCertificateFault::kRevoked;
    case HandshakeFailure::kClientCertificateUntrusted:
      return ClientCertificateFault::kNoRevocationList;
    default:
      return ClientCertificateFault::kNotAllowed;
  }
}

int received_alert_of(unsigned long openssl_error) {
  return is_received_alert(openssl_error) ? ERR_GET_REASON(openssl_error) - SSL_AD_REASON_OFFSET : -1;
}

std::array<std::byte, 7> fatal_alert_record(Alert alert) {
  constexpr std::byte kAlertType{21};
  constexpr std::byte kFatal{2};
  return {kAlertType,
          std::byte{3},
          std::byte{3},
          std::byte{0},
          std::byte{2},
          kFatal,
          static_cast<std::byte>(alert)};
}

}  // namespace headgate
