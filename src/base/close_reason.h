#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace headgate {

/// Which side of a connection something is about.
enum class Side : std::uint8_t { kNone, kClient, kBackend };
inline constexpr std::size_t kSideCount = 3;

/// Every way a connection ends. The word of name() is in the log line, in the metric and in a test.
enum class CloseReason : std::uint8_t {
  kFinished,               ///< Both directions ended cleanly.
  kProbe,                  ///< The client connected and left without sending a byte.
  kClientLeftInHandshake,  ///< The client went away after it had begun.
  kHandshakeFailed,        ///< The TLS handshake could not succeed; HandshakeFailure has the detail.
  kHandshakeTimeout,       ///< PROXY header, STARTTLS and TLS handshake took longer than timeouts.handshake.
  kSlowHello,              ///< limits.hello_bytes_per_second.
  kHandshakeShed,          ///< Headgate had no CPU time for a handshake, or no place for it.
  kPlaintextHttp,          ///< Plain HTTP on a TLS port; answered with a 400.
  kNotTls,                 ///< The first bytes are not TLS.
  kSourceDenied,           ///< `allow` or `deny` of the listener.
  kSourcePenalized,        ///< limits.penalty: the handshakes of the source keep failing.
  kConnectionLimit,        ///< limits.max_connections or connection_rate.
  kSourceLimit,            ///< The same for one source.
  kMemoryLimit,            ///< limits.max_memory.
  kOutOfDescriptors,       ///< Accepted on the spare descriptor and refused.
  kProxyHeaderMalformed,   ///< No valid PROXY header where one must be.
  kStarttlsMalformed,      ///< The STARTTLS dialogue of the listener's protocol was not followed.
  kStarttlsEnded,  ///< The client ended the dialogue in order before TLS: QUIT, LOGOUT, a cancel request.
  kStarttlsNotRequested,    ///< The client wants to go on without TLS, and was told that it cannot.
  kClientNotAllowed,        ///< The peer's identity is not allowed, or not any more.
  kClientRevoked,           ///< The peer's certificate was revoked while connected.
  kClientExpired,           ///< The peer's certificate expired while connected.
  kClientUntrusted,         ///< The peer's CA, or its issuer's revocation list, was removed while connected.
  kNoRoute,                 ///< No route matches and the listener has no default backend.
  kNoBackend,               ///< No server of the backend may be tried: all down, ejected or full.
  kBackendConnectFailed,    ///< No server was reached, or none went on as far as TLS or its greeting.
  kBackendConnectTimeout,   ///< The attempt that came furthest ran into connect_timeout.
  kBackendHandshakeFailed,  ///< TLS to the backend failed, verification included.
  kBackendStarttlsFailed,   ///< The backend did not go on to TLS when it was asked to in its protocol.
  kBackendPlaintext,        ///< Plaintext came with the backend's go-ahead for TLS.
  kClientReset,             ///< The client reset the connection.
  kBackendReset,            ///< The backend reset the connection.
  kClientTruncated,         ///< The client's TLS stream ended without close_notify.
  kBackendTruncated,        ///< The backend's TLS stream ended without close_notify.
  kClientProtocolError,     ///< The client broke TLS after the handshake, or sent a fatal alert.
  kBackendProtocolError,    ///< The backend broke TLS after the handshake, or sent a fatal alert.
  kClientFlood,             ///< The client sent too many KeyUpdates or the like.
  kBackendFlood,            ///< The backend sent too many KeyUpdates, session tickets or the like.
  kSlowReader,              ///< limits.read_bytes_per_second.
  kIdleTimeout,             ///< timeouts.idle.
  kHalfCloseTimeout,        ///< timeouts.half_close.
  kLifetime,                ///< timeouts.lifetime.
  kDrained,                 ///< Ended by a drain.
  kCut,                     ///< The process ends now.
  kMoved,                   ///< Handed over to the next process.
  kInternal,                ///< A fault of ours or of the system; the log line says more.
};
inline constexpr std::size_t kCloseReasonCount = static_cast<std::size_t>(CloseReason::kInternal) + 1;

/// How the log treats the end: only `access: all` logs kQuiet ends.
enum class CloseWeight : std::uint8_t { kQuiet, kFailure };

/// A row of the table of ends.
struct CloseReasonRow {
  std::string_view name;
  Side side;
  CloseWeight weight;
};

/// The row of `reason`. Any thread.
[[nodiscard]] const CloseReasonRow& row(CloseReason reason);
[[nodiscard]] inline std::string_view name(CloseReason reason) {
  return row(reason).name;
}
/// "client", "backend" or "none".
[[nodiscard]] std::string_view name(Side side);

/// Why a client's handshake failed: the `reason` of headgate_handshake_failures_total.
enum class HandshakeFailure : std::uint8_t {
  kNone,
  kNoSharedCipher,
  kNoSharedGroup,
  kUnsupportedVersion,
  kUnknownName,
  kNoSharedAlpn,
  kClientCertificateMissing,
  kClientCertificateExpired,
  kClientCertificateUntrusted,
  kClientCertificateRevoked,
  kClientCertificateNotAllowed,
  kPeerAlert,
  kPlaintextHttp,
  kNotTls,
  kClientLeft,
  kProtocolError,
  kInternal,
};
inline constexpr std::size_t kHandshakeFailureCount =
    static_cast<std::size_t>(HandshakeFailure::kInternal) + 1;
/// The word in logs and metrics ("no_shared_cipher"). Any thread.
[[nodiscard]] std::string_view name(HandshakeFailure failure);

}  // namespace headgate
