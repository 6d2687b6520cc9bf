#include "tls/library/error_reasons.h"

#include <algorithm>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/ascii.h"
#include "tls/handshake/ssl_extra_data.h"

namespace headgate {

// AWS-LC takes an alert without protection for a damaged record.
ErrorCode cause_of_failure(const SSL* ssl, ErrorCode oldest) {
  const SslExtraData* extra = extra_data_of(ssl);
  const int reason = ERR_GET_REASON(oldest);
  const bool is_damaged =
      ERR_GET_LIB(oldest) == ERR_LIB_SSL &&
      (reason == SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC || reason == SSL_R_BAD_PACKET_LENGTH);
  if (!is_damaged || extra == nullptr || extra->plain_alert < 0) return oldest;
  return ERR_PACK(ERR_LIB_SSL, SSL_AD_REASON_OFFSET + extra->plain_alert);
}

// AWS-LC has the names of its constants, "CERTIFICATE_VERIFY_FAILED".
std::string reason_words(ErrorCode error_code) {
  const char* reason = ERR_reason_error_string(error_code);
  if (reason == nullptr) return "error " + std::to_string(error_code);
  std::string words = ascii_lower(reason);
  std::ranges::replace(words, '_', ' ');
  return words;
}

bool is_pause(int ssl_error) {
  return ssl_error == SSL_ERROR_WANT_PRIVATE_KEY_OPERATION || ssl_error == SSL_ERROR_PENDING_TICKET ||
         ssl_error == SSL_ERROR_WANT_X509_LOOKUP;
}

bool is_end_without_notice(int ssl_error, ErrorCode error_code) {
  return ssl_error == SSL_ERROR_SYSCALL && error_code == 0;
}

// The reasons of a library's own parts begin at 100. Below it are those that all parts share.
bool is_own_fault(ErrorCode error_code) {
  const int reason = ERR_GET_REASON(error_code);
  return reason < 100 && (reason & ERR_R_FATAL) != 0;
}

bool is_about_peer_bytes(ErrorCode error_code) {
  const int part = ERR_GET_LIB(error_code);
  return part == ERR_LIB_EC || part == ERR_LIB_RSA || part == ERR_LIB_ASN1 || part == ERR_LIB_X509 ||
         part == ERR_LIB_EVP || part == ERR_LIB_CIPHER;
}

HandshakeFailure failure_of_tls_reason(int reason) {
  switch (reason) {
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_COMMON_SIGNATURE_ALGORITHMS:
    case SSL_R_NO_CIPHERS_SPECIFIED:
    case SSL_R_UNKNOWN_CIPHER_RETURNED:
      return HandshakeFailure::kNoSharedCipher;
    case SSL_R_NO_SHARED_GROUP:
      return HandshakeFailure::kNoSharedGroup;
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_INAPPROPRIATE_FALLBACK:
    case SSL_R_NO_SUPPORTED_VERSIONS_ENABLED:
      return HandshakeFailure::kUnsupportedVersion;
    case SSL_R_NO_APPLICATION_PROTOCOL:
      return HandshakeFailure::kNoSharedAlpn;
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      return HandshakeFailure::kClientCertificateMissing;
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
    case SSL_R_KEY_USAGE_BIT_INCORRECT:
      return HandshakeFailure::kClientCertificateUntrusted;
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
      return HandshakeFailure::kPlaintextHttp;
    case SSL_R_WRONG_VERSION_NUMBER:
      return HandshakeFailure::kNotTls;
    default:
      return HandshakeFailure::kProtocolError;
  }
}

}  // namespace headgate
