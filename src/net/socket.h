#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
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

/// How many of the bytes that a TCP socket took the peer's kernel has acknowledged, the end of our direction
/// included, and how many it has not.
struct Delivery {
  std::uint64_t acknowledged_bytes = 0;
  std::size_t unacknowledged_bytes = 0;
  /// The most bytes of a segment. A kernel that was full tells of new room only when there is room for a
  /// segment or for half of its buffer (RFC 9293, section 3.8.6.2.2), of which this is the smaller one.
  std::size_t segment_bytes = 0;
};
/// nullopt for a socket of another kind.
[[nodiscard]] std::optional<Delivery> delivery(int fd);

/// Ends our direction with FIN. Harmless when the peer is gone.
void send_end(int fd);
/// Makes close() send RST.
void set_reset_on_close(int fd);

/// The permissions and the owner of a unix socket's file; nullopt: as the kernel made it.
struct SocketFile {
  std::optional<std::uint32_t> mode{};
  std::optional<uid_t> owner{};
  std::optional<gid_t> group{};
  bool operator==(const SocketFile&) const = default;
};

struct ListenOptions {
  int backlog = 4096;
  bool defer_accept = false;  ///< The kernel reports a connection only when the client's first byte is there.
  bool alone = false;         ///< Without SO_REUSEPORT: nothing else can listen there.
  bool for_owner_and_group =
      false;               ///< Other users may not use the file of a unix socket, whatever the umask.
  bool ipv6_only = false;  ///< An IPv6 socket takes no IPv4 client.
  /// Takes connections to addresses that are not this machine's, where its routes bring them here
  /// (IP_TRANSPARENT, ip(7)).
  bool transparent = false;
  SocketFile file{};  ///< Of a unix socket with a path.
};

/// A listening socket with SO_REUSEPORT, close-on-exec and non-blocking, and with `options`. A stale unix
/// socket that nobody listens on is replaced. Where the system has no IPv6, every address (":8443") is every
/// IPv4 address, unless IPv6 alone is wanted. Errors: kSystem, with the address and what to do about it.
[[nodiscard]] Result<Fd> listen_on(const Address& address, const ListenOptions& options);
/// Whether this process may use addresses that are not this machine's (IP_TRANSPARENT). Errors: kRefused,
/// with the capability that it lacks; kSystem.
[[nodiscard]] Result<void> check_may_be_transparent();
/// Whether `address` is one of this machine's own, by its routes.
[[nodiscard]] bool is_of_this_machine(const Address& address);
/// Whether no socket listens on the TCP address, not even one that would share it (SO_REUSEPORT). Errors: as
/// of listen_on(). Port 0 is always free.
[[nodiscard]] Result<void> check_free(const Address& address, const ListenOptions& options);
/// Gives the file of a unix socket its permissions and owner, and returns those that it had. It follows no
/// link. Errors: kSystem, with the address and what to do about it; then the file is as it was.
[[nodiscard]] Result<SocketFile> change_file(const Address& address, const SocketFile& wanted);
/// Gives a bound socket `options` and what accepted sockets inherit from it (TCP_NODELAY, SO_KEEPALIVE),
/// whether it listens already or not: connections that wait in it stay. False, with errno, where the kernel
/// refuses to listen, or refuses `transparent` (EPERM).
bool set_listen_options(int fd, const ListenOptions& options);
/// Of the sockets that share a port, this one gets the connections that `cpu` receives; nullopt: the kernel
/// chooses by a hash (SO_INCOMING_CPU, socket(7)). Kernels before Linux 6.2 choose so always.
void set_incoming_cpu(int fd, std::optional<std::size_t> cpu);

/// A connect that has begun: the descriptor is connected already, or will be (`in_progress`).
struct Connecting {
  Fd fd;
  bool in_progress = false;
};
/// Where our own end of a connection is: an IP address, whose port the kernel chooses.
struct OwnEnd {
  std::optional<Address> address{};  ///< nullopt: the kernel chooses.
  bool foreign = false;              ///< It need not be an address of this machine (IP_TRANSPARENT).
};
[[nodiscard]] tl::expected<Connecting, int> start_connect(const Address& address,
                                                          const OwnEnd& from = {});  // errno
/// Whether a call that makes a socket failed because we had no descriptor or no memory left, which says
/// nothing about the peer. `error` is of errno.
[[nodiscard]] bool is_shortage(int error);
/// Whether a system call failed because the process, or the machine, has no descriptor left.
[[nodiscard]] bool is_out_of_descriptors(int error);
/// How a connect that was in progress ended: 0 or a value of errno.
[[nodiscard]] int connect_outcome(int fd);

/// The address a socket is bound to.
[[nodiscard]] Address local_address(int fd);

}  // namespace headgate
