#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "base/result.h"
#include "net/address.h"
#include "net/fd.h"
#include "net/stream.h"

/// Non-blocking sockets: what every stream and listener asks of the kernel. Any thread.
namespace headgate {

/// What one send or receive did. `error` is errno when `status` is kFailed.
struct SocketIo {
  IoStatus status = IoStatus::kDone;
  std::size_t size_bytes = 0;
  int error = 0;
};

/// Receives once into `into`: kDone with bytes, kWantRead, kEnded at the end of the stream, or kFailed.
[[nodiscard]] SocketIo receive_some(int fd, std::span<std::byte> into);
/// As receive_some(), into `first` and then `second`.
[[nodiscard]] SocketIo receive_some(int fd, std::span<std::byte> first, std::span<std::byte> second);
/// What follows the bytes that are sent. kEnd: our direction ends right behind them, so the kernel may put
/// the FIN into their segment.
enum class Then : std::uint8_t { kMore, kEnd };
/// Sends once: kDone with the number of bytes taken (perhaps fewer than given), kWantWrite, or kFailed. No
/// SIGPIPE.
[[nodiscard]] SocketIo send_some(int fd, std::span<const std::byte> bytes, Then then = Then::kMore);
/// What `error`, a value of errno, means for a stream, with a text for the operator.
[[nodiscard]] StreamFailure failure_of_errno(std::string_view doing, int error);

/// Whether the peer has ended or reset the connection and no byte of it is left to be read. Takes nothing.
[[nodiscard]] bool has_left(int fd);

/// Returns how many bytes that the socket took have not been acknowledged by the peer's kernel, the FIN
/// included. 0 also where no byte can arrive any more, because the connection is gone, and for a unix socket:
/// its bytes are with the peer at once, and closing it does not take them away.
[[nodiscard]] std::size_t undelivered_bytes(int fd);

/// Ends our direction with FIN. Harmless when the peer is gone.
void send_end(int fd);
/// Makes close() send RST.
void set_reset_on_close(int fd);

struct ListenOptions {
  int backlog = 4096;
  bool defer_accept = false;  ///< The kernel reports a connection only when the client's first byte is there.
};

/// A listening socket with SO_REUSEPORT, close-on-exec and non-blocking, and with `options`. A stale unix
/// socket that nobody listens on is replaced. Errors: kSystem, with the address and what to do about it.
[[nodiscard]] Result<Fd> listen_on(const Address& address, const ListenOptions& options);
/// Gives a bound socket `options` and what accepted sockets inherit from it (TCP_NODELAY, SO_KEEPALIVE),
/// whether it listens already or not: connections that wait in it stay. False, with errno, where the kernel
/// refuses to listen.
bool set_listen_options(int fd, const ListenOptions& options);

/// A connect that has begun: the descriptor is connected already, or will be (`in_progress`).
struct Connecting {
  Fd fd;
  bool in_progress = false;
};
[[nodiscard]] tl::expected<Connecting, int> start_connect(const Address& address);  // errno
/// How a connect that was in progress ended: 0 or a value of errno.
[[nodiscard]] int connect_outcome(int fd);

/// The address a socket is bound to.
[[nodiscard]] Address local_address(int fd);

}  // namespace headgate
