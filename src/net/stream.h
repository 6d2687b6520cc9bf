#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "net/fd.h"

namespace headgate {

/// What a stream could do just now: the same answers for handshake, read, write and shutdown.
enum class IoStatus : std::uint8_t {
  kDone,       ///< Done as asked.
  kWantRead,   ///< Nothing more until the descriptor is readable.
  kWantWrite,  ///< Nothing more until the descriptor is writable.
  kPaused,     ///< Handshakes alone: nothing more until something is there that no descriptor announces.
  kEnded,      ///< The peer ended its direction in order; no byte comes after this.
  kFailed,     ///< The stream is broken; failure() says how.
};

/// How a stream broke.
enum class FailureKind : std::uint8_t {
  kNone,
  kReset,      ///< The peer reset the connection (ECONNRESET, EPIPE).
  kTimedOut,   ///< The kernel gave up on the peer (ETIMEDOUT, unreachable).
  kTruncated,  ///< TLS: the transport ended in the middle of a record or of the handshake.
  kPeerAlert,  ///< TLS: the peer sent a fatal alert.
  kProtocol,   ///< TLS: the peer broke the protocol; an alert was sent if the protocol has one for it.
  kFlood,      ///< TLS: the peer sent too many messages that the protocol allows, such as KeyUpdates.
  kSystem,     ///< Another error of the system or of a library.
};

/// `alert` is the TLS alert sent (kProtocol, kFlood) or received (kPeerAlert), -1 for none. `what` is for the
/// operator. `error` is errno where the socket failed, else 0.
struct StreamFailure {
  FailureKind kind = FailureKind::kNone;
  int alert = -1;
  std::string what;
  int error = 0;
};
/// What failure() gives while nothing has failed.
[[nodiscard]] inline const StreamFailure& no_failure() {
  static const StreamFailure none;
  return none;
}

/// What one read brought. `size_bytes` is more than zero only with kDone. `drained`: the socket gave less
/// than there was room for, so another read at once would only get EAGAIN; wait until the socket is readable
/// instead. `key_updates` counts the KeyUpdates of the peer that came with it, whatever the status.
struct ReadResult {
  IoStatus status = IoStatus::kWantRead;
  std::size_t size_bytes = 0;
  bool drained = false;
  std::uint16_t key_updates = 0;
};

/// The most that one write() takes, and so the most that a stream keeps for a slow peer, record overhead
/// aside.
inline constexpr std::size_t kMaxWriteBytes = 128 * 1024;

class PlainStream;

/// One side of a connection, TLS or plain: a sequence of bytes each way over one non-blocking descriptor.
///
/// Owns the descriptor. Loop thread only; nothing blocks. A stream keeps at most one write's worth of bytes
/// that the kernel did not take, and at most one partial record that it could not deliver yet.
class Stream {
 public:
  virtual ~Stream() = default;
  Stream() = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  [[nodiscard]] virtual int descriptor() const = 0;
  /// Whether TLS protects the bytes, so that the peer can be told of an end by close_notify or an alert.
  [[nodiscard]] virtual bool is_tls() const { return false; }

  /// The stream itself where its bytes are what is on the wire, so that splice(2) can move them; null
  /// otherwise.
  [[nodiscard]] virtual PlainStream* plain() { return nullptr; }

  /// Gives the descriptor to a stream that goes on with it. This stream is dead then.
  [[nodiscard]] virtual Fd release_descriptor() { return Fd(); }

  /// Drives the handshake as far as the bytes at hand allow; kDone at once for a stream without a handshake.
  virtual IoStatus handshake() = 0;

  /// Reads what is there into `into`, which has room for at least one record (16 KiB).
  /// kDone with bytes, kWantRead, kEnded (close_notify or FIN), or kFailed.
  virtual ReadResult read(std::span<std::byte> into) = 0;

  /// After kEnded: whether the transport ended without the close_notify of TLS. RFC 8446, section 6.1.
  [[nodiscard]] virtual bool ended_without_notice() const { return false; }

  /// Whether read() would give bytes although the descriptor is not readable, because they were received
  /// before.
  [[nodiscard]] virtual bool has_buffered() const { return false; }

  /// Takes all of `bytes` (at most kMaxWriteBytes), and must not be called while unsent_bytes() > 0.
  /// kDone: the kernel has them all. kWantWrite: the rest is kept; call flush() when writable. kFailed.
  virtual IoStatus write(std::span<const std::byte> bytes) = 0;

  /// Sends what was kept, and what was held back: kDone when nothing is left.
  virtual IoStatus flush() = 0;
  /// Bytes that the kernel did not take. Bytes that are only held back for the next write do not count.
  [[nodiscard]] virtual std::size_t unsent_bytes() const = 0;
  /// Whether bytes are held back for the next write or flush(): session tickets, which need not wake the peer
  /// by themselves.
  [[nodiscard]] virtual bool holds_back() const { return false; }

  /// Ends our direction in order, after what was written: close_notify where there is TLS, then FIN.
  /// kDone once both are with the kernel; kWantWrite: call again when writable. Idempotent.
  virtual IoStatus end_writing() = 0;
  /// The same when the descriptor is closed right after: close() sends the FIN.
  virtual IoStatus end_before_close() { return end_writing(); }

  /// Ends our direction after what was written with FIN alone: a peer that speaks TLS sees that bytes may be
  /// missing. Works for a stream whose reading has failed, too. Answers as end_writing().
  virtual IoStatus end_cut_short() { return end_writing(); }
  /// Ends our direction after what was written with the fatal alert of that number, then FIN: RFC 8446,
  /// section 6.2. FIN alone where there is no TLS. Nothing may be read after it. Answers as end_writing().
  virtual IoStatus end_with_alert(std::uint8_t) { return end_writing(); }

  /// Makes closing the descriptor send a reset (RST) instead of an end, so that the peer does not take it for
  /// an orderly end.
  virtual void reset_on_close() = 0;

  /// How the stream broke, after a call returned kFailed.
  [[nodiscard]] virtual const StreamFailure& failure() const = 0;
};

}  // namespace headgate
