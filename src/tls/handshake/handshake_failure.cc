#include "tls/handshake/handshake_failure.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include "tls/handshake/ssl_extra_data.h"
#include "tls/library/error_reasons.h"
#include "tls/library/handshake_facts.h"

namespace headgate {
namespace {

bool is_received_alert(ErrorCode openssl_error) {
  const int reason = ERR_GET_REASON(openssl_error);
  return ERR_GET_LIB(openssl_error) == ERR_LIB_SSL && reason > SSL_AD_REASON_OFFSET &&
         reason < SSL_AD_REASON_OFFSET + 256;
}

/// Whether the alert that was sent says that the peer's messages are not what they must be.
bool blames_peer(const SslExtraData* extra) {
  if (extra == nullptr) return false;
  switch (extra->alert_sent) {
    case SSL_AD_UNEXPECTED_MESSAGE:
    case SSL_AD_BAD_RECORD_MAC:
    case SSL_AD_RECORD_OVERFLOW:
    case SSL_AD_ILLEGAL_PARAMETER:
    case SSL_AD_DECODE_ERROR:
    case SSL_AD_DECRYPT_ERROR:
      return true;
    default:
      return false;
  }
}

}  // namespace

HandshakeFailure failure_of(ErrorCode openssl_error) {
  if (openssl_error == 0) return HandshakeFailure::kInternal;
  if (is_received_alert(openssl_error)) return HandshakeFailure::kPeerAlert;
  const int reason = ERR_GET_REASON(openssl_error);
  if (is_own_fault(openssl_error))
    return HandshakeFailure::kInternal;  // out of memory, or a fault within OpenSSL
  if (ERR_GET_LIB(openssl_error) == ERR_LIB_SSL) return failure_of_tls_reason(reason);
  return is_about_peer_bytes(openssl_error) ? HandshakeFailure::kProtocolError : HandshakeFailure::kInternal;
}

HandshakeFailure failure_at_server(SSL* ssl, ErrorCode openssl_error) {
  const HandshakeFailure failure = failure_of(openssl_error);
  // Of its providers' errors OpenSSL knows itself whose fault they are: it has told the client.
  if (failure == HandshakeFailure::kInternal && !is_own_fault(openssl_error) &&
      blames_peer(extra_data_of(ssl)))
    return HandshakeFailure::kProtocolError;
  // A record of a strange version: the ClientHello before it was TLS.
  if (failure == HandshakeFailure::kNotTls) return HandshakeFailure::kProtocolError;
  if (failure != HandshakeFailure::kNoSharedCipher) return failure;
  return lacks_shared_group(ssl) ? HandshakeFailure::kNoSharedGroup : failure;
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

int received_alert_of(ErrorCode openssl_error) {
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
