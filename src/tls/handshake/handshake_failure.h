#pragma once

#include <array>
#include <cstddef>

#include "base/close_reason.h"
#include "metrics/worker_metrics.h"
#include "tls/handshake/alert.h"
#include "tls/library/openssl_types.h"

namespace headgate {

/// Returns the failure of a handshake that an entry of OpenSSL's error queue (ERR_peek_error) reports.
///
/// A failed verification is kClientCertificateUntrusted here; failure_of_verification() knows more. Entries
/// of the system and of libraries below TLS are kInternal, unless only the peer's bytes can cause them. Any
/// thread.
[[nodiscard]] HandshakeFailure failure_of(ErrorCode openssl_error);

/// The same for the failed handshake of `ssl`, a server: without a common group TLS 1.2 has no common cipher
/// either, and OpenSSL then reports only the cipher. The loop of `ssl`.
[[nodiscard]] HandshakeFailure failure_at_server(SSL* ssl, ErrorCode openssl_error);

/// Returns the failure for a result of certificate verification (SSL_get_verify_result, X509_V_*). kNone for
/// X509_V_OK.
[[nodiscard]] HandshakeFailure failure_of_verification(long verify_result);
/// Returns the fault of the certificate for the same result.
[[nodiscard]] ClientCertificateFault fault_of_verification(long verify_result);
/// The failure when PeerPolicy::authorize() refuses a certificate whose chain is good.
[[nodiscard]] ClientCertificateFault fault_of_refusal(HandshakeFailure why);

/// The alert number in an error-queue entry that reports an alert received from the peer, else -1.
[[nodiscard]] int received_alert_of(ErrorCode openssl_error);

/// A fatal alert as an unprotected record of 7 bytes, for a client that is refused before OpenSSL has seen a
/// byte: send it before closing. RFC 8446, sections 5.1 and 6.
[[nodiscard]] std::array<std::byte, 7> fatal_alert_record(Alert alert);

}  // namespace headgate
