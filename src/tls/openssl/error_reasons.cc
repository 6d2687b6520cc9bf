#include "tls/library/error_reasons.h"

#include <openssl/err.h>
#include <openssl/proverr.h>
#include <openssl/ssl.h>

namespace headgate {

ErrorCode cause_of_failure(const SSL*, ErrorCode oldest) {
  return oldest;
}

std::string reason_words(ErrorCode error_code) {
  const char* reason = ERR_reason_error_string(error_code);
  return reason != nullptr ? reason : "error " + std::to_string(error_code);
}

bool is_pause(int ssl_error) {
  return ssl_error == SSL_ERROR_WANT_ASYNC || ssl_error == SSL_ERROR_WANT_X509_LOOKUP;
}

// With SSL_OP_IGNORE_UNEXPECTED_EOF OpenSSL tells such an end as it tells a close_notify.
bool is_end_without_notice(int, ErrorCode) {
  return false;
}

bool is_own_fault(ErrorCode error_code) {
  return ERR_FATAL_ERROR(error_code) != 0;
}

// A provider says so of a share from which no secret can be derived: RFC 7748, section 6.1.
bool is_about_peer_bytes(ErrorCode error_code) {
  const int part = ERR_GET_LIB(error_code);
  return part == ERR_LIB_EC || part == ERR_LIB_RSA || part == ERR_LIB_ASN1 || part == ERR_LIB_X509 ||
         (part == ERR_LIB_PROV && ERR_GET_REASON(error_code) == PROV_R_FAILED_DURING_DERIVATION);
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

}  // namespace headgate
