#include "tls/openssl/tls_status.h"

#include <openssl/err.h>

#include "net/socket.h"

namespace headgate {
namespace {

std::string words_of(unsigned long code) {
  const char* reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : "error " + std::to_string(code);
}

TlsAnswer failed(FailureKind kind, int alert, std::string what, unsigned long code) {
  return {.status = IoStatus::kFailed,
          .failure = {.kind = kind, .alert = alert, .what = std::move(what)},
          .error_code = code};
}

TlsAnswer library_failure(int transport_error) {
  const unsigned long code = ERR_peek_error();
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
    return failed(FailureKind::kPeerAlert, reason - SSL_AD_REASON_OFFSET, words_of(code), code);
  }
  // Out of memory, or a fault within OpenSSL: the peer is not to blame.
  const FailureKind kind = ERR_FATAL_ERROR(code) ? FailureKind::kSystem : FailureKind::kProtocol;
  return failed(kind, -1, words_of(code), code);
}

}  // namespace

void forget_earlier_errors() {
  ERR_clear_error();
}

TlsAnswer tls_answer(SSL* ssl, int returned, int transport_error) {
  switch (SSL_get_error(ssl, returned)) {
    case SSL_ERROR_NONE:
      return {};
    case SSL_ERROR_WANT_READ:
      return {.status = IoStatus::kWantRead, .failure = {}};
    case SSL_ERROR_WANT_WRITE:
      return {.status = IoStatus::kWantWrite, .failure = {}};
    case SSL_ERROR_WANT_ASYNC:
    case SSL_ERROR_WANT_X509_LOOKUP:
      return {.status = IoStatus::kPaused, .failure = {}};
    case SSL_ERROR_ZERO_RETURN:
      return {.status = IoStatus::kEnded, .failure = {}};
    default:
      return library_failure(transport_error);
  }
}

}  // namespace headgate
