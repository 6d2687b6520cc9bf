#include "tls/library/tls_status.h"

#include <openssl/err.h>

#include "net/socket.h"
#include "tls/library/error_reasons.h"

namespace headgate {
namespace {

TlsAnswer failed(FailureKind kind, int alert, std::string what, ErrorCode code) {
  return {.status = IoStatus::kFailed,
          .failure = {.kind = kind, .alert = alert, .what = std::move(what)},
          .error_code = code};
}

TlsAnswer library_failure(const SSL* ssl, int transport_error) {
  const ErrorCode code = cause_of_failure(ssl, ERR_peek_error());
  ERR_clear_error();
  const int reason = ERR_GET_REASON(code);
  if (transport_error != 0) {
    TlsAnswer answer{.status = IoStatus::kFailed, .failure = {}, .error_code = code};
    answer.failure = failure_of_errno("TLS", transport_error);
    return answer;
  }
  // Reasons from SSL_AD_REASON_OFFSET on are alerts of the peer.
  if (ERR_GET_LIB(code) == ERR_LIB_SSL && reason >= SSL_AD_REASON_OFFSET &&
      reason < SSL_AD_REASON_OFFSET + 256) {
    return failed(FailureKind::kPeerAlert, reason - SSL_AD_REASON_OFFSET, reason_words(code), code);
  }
  // Out of memory, or a fault within OpenSSL: the peer is not to blame.
  const FailureKind kind = is_own_fault(code) ? FailureKind::kSystem : FailureKind::kProtocol;
  return failed(kind, -1, reason_words(code), code);
}

}  // namespace

void forget_earlier_errors() {
  ERR_clear_error();
}

TlsAnswer tls_answer(SSL* ssl, int returned, int transport_error) {
  const int error = SSL_get_error(ssl, returned);
  if (is_pause(error)) return {.status = IoStatus::kPaused, .failure = {}};
  if (transport_error == 0 && is_end_without_notice(error, ERR_peek_error()))
    return {.status = IoStatus::kEnded, .failure = {}};
  switch (error) {
    case SSL_ERROR_NONE:
      return {};
    case SSL_ERROR_WANT_READ:
      return {.status = IoStatus::kWantRead, .failure = {}};
    case SSL_ERROR_WANT_WRITE:
      return {.status = IoStatus::kWantWrite, .failure = {}};
    case SSL_ERROR_ZERO_RETURN:
      return {.status = IoStatus::kEnded, .failure = {}};
    default:
      return library_failure(ssl, transport_error);
  }
}

}  // namespace headgate
