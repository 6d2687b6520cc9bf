#include "net/socket.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <iterator>
#include <system_error>

namespace headgate {
namespace {

// Long enough for a client to send its ClientHello a third time, after two losses.
constexpr int kDeferAcceptSeconds = 5;

bool set_option(int fd, int level, int option, int value) {
  return ::setsockopt(fd, level, option, &value, sizeof value) == 0;
}

std::string advice(const Address& address, int error) {
  switch (error) {
    case EADDRINUSE:
      return "; another process listens there: stop it or choose another port";
    case EACCES:
      return address.is_unix() ? "; check the directory's permissions"
                               : "; ports below 1024 need CAP_NET_BIND_SERVICE";
    case EADDRNOTAVAIL:
      return "; no interface of this machine has that address";
    default:
      return "";
  }
}

tl::unexpected<Error> listen_failed(const Address& address, int error) {
  return fail(ErrorKind::kSystem, "cannot listen on " + address.text() + ": " +
                                      std::system_category().message(error) + advice(address, error));
}

template <class Call>
SocketIo received(Call receive) {
  for (;;) {
    const ssize_t n = receive();
    if (n > 0) return {IoStatus::kDone, static_cast<std::size_t>(n)};
    if (n == 0) return {IoStatus::kEnded};
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return {IoStatus::kWantRead};
    return {IoStatus::kFailed, 0, errno};
  }
}

/// Removes a unix socket left behind by a process that is gone.
void remove_stale_socket(const Address& address) {
  const auto* un = reinterpret_cast<const sockaddr_un*>(address.data());
  struct stat status{};
  if (un->sun_path[0] == '\0' || ::lstat(un->sun_path, &status) != 0 || !S_ISSOCK(status.st_mode)) return;
  const Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (::connect(probe.number(), address.data(), address.size_bytes()) != 0 && errno == ECONNREFUSED) {
    ::unlink(un->sun_path);
  }
}

}  // namespace

SocketIo receive_some(int fd, std::span<std::byte> into) {
  return received([&] { return ::recv(fd, into.data(), into.size(), 0); });
}

SocketIo receive_some(int fd, std::span<std::byte> first, std::span<std::byte> second) {
  iovec parts[] = {{first.data(), first.size()}, {second.data(), second.size()}};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = std::size(parts);
  return received([&] { return ::recvmsg(fd, &message, 0); });
}

SocketIo send_some(int fd, std::span<const std::byte> bytes, Then then) {
  const int flags = then == Then::kEnd ? MSG_NOSIGNAL | MSG_MORE : MSG_NOSIGNAL;
  for (;;) {
    const ssize_t n = ::send(fd, bytes.data(), bytes.size(), flags);
    if (n >= 0) return {IoStatus::kDone, static_cast<std::size_t>(n)};
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return {IoStatus::kWantWrite};
    return {IoStatus::kFailed, 0, errno};
  }
}

StreamFailure failure_of_errno(std::string_view doing, int error) {
  FailureKind kind = FailureKind::kSystem;
  if (error == ECONNRESET || error == EPIPE || error == ECONNABORTED) kind = FailureKind::kReset;
  if (error == ETIMEDOUT || error == EHOSTUNREACH || error == ENETUNREACH) kind = FailureKind::kTimedOut;
  return {kind, -1, std::string(doing) + ": " + std::system_category().message(error), error};
}

bool has_left(int fd) {
  std::byte next{};
  const ssize_t size = ::recv(fd, &next, 1, MSG_PEEK | MSG_DONTWAIT);
  return size == 0 || (size < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

std::size_t undelivered_bytes(int fd) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 || info.tcpi_state == TCP_CLOSE) return 0;
  int bytes = 0;
  return ::ioctl(fd, SIOCOUTQ, &bytes) == 0 && bytes > 0 ? static_cast<std::size_t>(bytes) : 0;
}

void send_end(int fd) {
  ::shutdown(fd, SHUT_WR);
}

void set_reset_on_close(int fd) {
  const linger now{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

Result<Fd> listen_on(const Address& address, const ListenOptions& options) {
  if (address.is_unix()) remove_stale_socket(address);
  Fd fd(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return listen_failed(address, errno);
  if (!address.is_unix()) {
    set_option(fd.number(), SOL_SOCKET, SO_REUSEADDR, 1);
    if (!set_option(fd.number(), SOL_SOCKET, SO_REUSEPORT, 1)) return listen_failed(address, errno);
    if (address.family() == AF_INET6) set_option(fd.number(), IPPROTO_IPV6, IPV6_V6ONLY, 0);
  }
  if (::bind(fd.number(), address.data(), address.size_bytes()) != 0 ||
      !set_listen_options(fd.number(), options)) {
    return listen_failed(address, errno);
  }
  return fd;
}

// A socket that listens already takes a second listen() as a new backlog.
bool set_listen_options(int fd, const ListenOptions& options) {
  if (!local_address(fd).is_unix()) {
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, options.defer_accept ? kDeferAcceptSeconds : 0);
  }
  return ::listen(fd, options.backlog) == 0;
}

tl::expected<Connecting, int> start_connect(const Address& address) {
  Fd fd(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return tl::unexpected<int>(errno);
  if (!address.is_unix()) {
    set_option(fd.number(), IPPROTO_TCP, TCP_NODELAY, 1);
    // Both ends are on this machine, so the kernel always knows when the peer has gone.
    if (!address.is_loopback()) set_option(fd.number(), SOL_SOCKET, SO_KEEPALIVE, 1);
  }
  if (::connect(fd.number(), address.data(), address.size_bytes()) == 0) {
    return Connecting{.fd = std::move(fd), .in_progress = false};
  }
  if (errno == EINPROGRESS) return Connecting{.fd = std::move(fd), .in_progress = true};
  return tl::unexpected<int>(errno);
}

int connect_outcome(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return errno;
  return error;
}

Address local_address(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return {};
  return Address::from_socket(storage, size);
}

}  // namespace headgate
