#pragma once

#include <string>

#include <openssl/ssl.h>

#include "net/stream.h"
#include "tls/library/openssl_types.h"

namespace headgate {

/// The meaning of one answer of OpenSSL. `error_code` is the library's error code (the argument of
/// ERR_GET_REASON), 0 for none.
struct TlsAnswer {
  IoStatus status = IoStatus::kDone;
  StreamFailure failure;
  ErrorCode error_code = 0;
};

/// Clears the thread's error queue: an old entry of another connection would turn "not yet" into a failure.
/// Call it before each call into an SSL object.
void forget_earlier_errors();

/// The one place that reads SSL_get_error() and the error queue. `returned` is what the SSL function
/// returned; `transport_error` is errno of the socket below, 0 for none. Call it right after that call, on
/// the same thread. The end of the transport is kEnded like a close_notify (SSL_OP_IGNORE_UNEXPECTED_EOF, so
/// that it breaks nothing that still can be written): TlsStream tells them apart.
[[nodiscard]] TlsAnswer tls_answer(SSL* ssl, int returned, int transport_error);

}  // namespace headgate
