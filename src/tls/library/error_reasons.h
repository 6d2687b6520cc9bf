#pragma once

#include <string>

#include "base/close_reason.h"
#include "tls/library/openssl_types.h"

/// What the numbers of a library's errors mean. Pure; any thread.
namespace headgate {

/// The error code that tells why a call on `ssl` failed; `oldest` is the oldest one of the thread.
[[nodiscard]] ErrorCode cause_of_failure(const SSL* ssl, ErrorCode oldest);
/// The reason in an error code as words: "certificate verify failed".
[[nodiscard]] std::string reason_words(ErrorCode error_code);

/// Whether the answer of SSL_get_error() means that the handshake pauses, for a permit or for a private key.
[[nodiscard]] bool is_pause(int ssl_error);
/// Whether the answer of SSL_get_error(), with the oldest error code of the thread, means that the transport
/// has ended without a close_notify.
[[nodiscard]] bool is_end_without_notice(int ssl_error, ErrorCode error_code);
/// Whether an error code is about the library itself, out of memory for example: the peer is not to blame.
[[nodiscard]] bool is_own_fault(ErrorCode error_code);
/// Whether an error code of another part than the TLS code is about what the peer has sent: its shares, its
/// signatures, its certificates, its records.
[[nodiscard]] bool is_about_peer_bytes(ErrorCode error_code);
/// What a reason of the library's TLS code, SSL_R_..., means for a handshake.
[[nodiscard]] HandshakeFailure failure_of_tls_reason(int reason);

}  // namespace headgate
