#pragma once

#include <string>

#include <openssl/ssl.h>

#include "net/stream.h"

namespace headgate {

/// What OpenSSL meant by one answer. `reason` is the library's error code (ERR_GET_REASON's argument), 0 for
/// none.
struct TlsAnswer {
  IoStatus status = IoStatus::kDone;
  StreamFailure failure;
  unsigned long error_code = 0;
};

/// Clears the thread's error queue: a stale entry of another connection turns "not yet" into a failure.
/// Before each call into an SSL object.
void forget_earlier_errors();

/// The one place that reads SSL_get_error() and the error queue. `returned` is what the SSL function
/// returned; `transport_error` is errno of the socket below, 0 for none. Right after the call, on the same
/// thread. The end of the transport is kEnded like a close_notify (SSL_OP_IGNORE_UNEXPECTED_EOF, so that it
/// breaks nothing that still can be written): TlsStream tells them apart.
[[nodiscard]] TlsAnswer tls_answer(SSL* ssl, int returned, int transport_error);

}  // namespace headgate
