#include "net/socket.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
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
    case EAFNOSUPPORT:
    case EPROTONOSUPPORT:
      return address.family() == AF_INET6 ? "; this system has no IPv6: bind an IPv4 address, like 0.0.0.0:" +
                                                std::to_string(address.port())
                                          : "";
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

/// Takes every permission to the file of a unix socket from other users. False, with errno, where it fails.
bool take_from_other_users(const Address& address) {
  const auto* un = reinterpret_cast<const sockaddr_un*>(address.data());
  struct stat status{};
  if (!address.is_unix() || un->sun_path[0] == '\0') return true;
  return ::stat(un->sun_path, &status) == 0 && ::chmod(un->sun_path, status.st_mode & 0770U) == 0;
}

/// The file of a unix socket, held open so that no other file can take its place; empty for an abstract one.
Fd hold_file(const Address& address) {
  const auto* un = reinterpret_cast<const sockaddr_un*>(address.data());
  if (!address.is_unix() || un->sun_path[0] == '\0') return Fd();
  return Fd(::open(un->sun_path, O_PATH | O_NOFOLLOW | O_CLOEXEC));
}

/// chmod() takes no descriptor that was opened to name a file alone, but its name in /proc.
bool set_mode(const Fd& file, std::uint32_t mode) {
  return ::chmod(("/proc/self/fd/" + std::to_string(file.number())).c_str(), mode) == 0;
}

bool set_owner(const Fd& file, const SocketFile& wanted) {
  constexpr auto kSame = static_cast<uid_t>(-1);
  return ::fchownat(file.number(), "", wanted.owner.value_or(kSame), wanted.group.value_or(kSame),
                    AT_EMPTY_PATH) == 0;
}

bool lacks_family(int error) {
  return error == EAFNOSUPPORT || error == EPROTONOSUPPORT;
}

/// Whether the kernel may give the address to other sockets too.
enum class Sharing { kRefused, kAllowed };

/// Lets a socket have an address that is not this machine's, or takes that from it. False, with errno, where
/// the kernel refuses.
bool set_transparent(int fd, sa_family_t family, bool transparent) {
  const int level = family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP;
  const int option = family == AF_INET6 ? IPV6_TRANSPARENT : IP_TRANSPARENT;
  int before = 0;
  socklen_t size = sizeof before;
  // Only a change takes a capability, which the program that an upgrade starts may lack.
  if (::getsockopt(fd, level, option, &before, &size) == 0 && (before != 0) == transparent) return true;
  return set_option(fd, level, option, transparent ? 1 : 0);
}

Result<Fd> bound_socket(const Address& address, Sharing sharing, const ListenOptions& options) {
  Fd fd(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd && lacks_family(errno) && address.is_every_ipv6() && !options.ipv6_only)
    return bound_socket(*Address::from_ip("0.0.0.0", address.port()), sharing, options);
  if (!fd) return listen_failed(address, errno);
  if (!address.is_unix()) {
    set_option(fd.number(), SOL_SOCKET, SO_REUSEADDR, 1);
    const int shared = sharing == Sharing::kAllowed ? 1 : 0;
    if (!set_option(fd.number(), SOL_SOCKET, SO_REUSEPORT, shared)) return listen_failed(address, errno);
    if (address.family() == AF_INET6 &&
        !set_option(fd.number(), IPPROTO_IPV6, IPV6_V6ONLY, options.ipv6_only ? 1 : 0))
      return listen_failed(address, errno);
    if (!set_transparent(fd.number(), address.family(), options.transparent))
      return listen_failed(address, errno);
  }
  if (::bind(fd.number(), address.data(), address.size_bytes()) != 0) return listen_failed(address, errno);
  return fd;
}

/// Gives our end of a connection its address. The port is chosen when it connects, so that one address has
/// all ports for each server (IP_BIND_ADDRESS_NO_PORT, ip(7)).
bool bind_own_end(int fd, const OwnEnd& from) {
  Address own = *from.address;
  own.set_port(0);
  set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
  if (from.foreign && !set_transparent(fd, own.family(), true)) return false;
  return ::bind(fd, own.data(), own.size_bytes()) == 0;
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

std::optional<Delivery> delivery(int fd) {
  // The kernel's struct is longer than the C library's: tcpi_bytes_acked in linux/tcp.h.
  constexpr std::size_t kAcknowledgedAt = 120;
  Delivery of_fd;
  std::array<std::byte, kAcknowledgedAt + sizeof of_fd.acknowledged_bytes> info{};
  socklen_t size = info.size();
  if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, info.data(), &size) != 0 || size < info.size())
    return std::nullopt;
  std::memcpy(&of_fd.acknowledged_bytes, info.data() + kAcknowledgedAt, sizeof of_fd.acknowledged_bytes);
  of_fd.unacknowledged_bytes = undelivered_bytes(fd);
  std::uint32_t segment_bytes = 0;
  std::memcpy(&segment_bytes, info.data() + offsetof(tcp_info, tcpi_snd_mss), sizeof segment_bytes);
  of_fd.segment_bytes = segment_bytes;
  return of_fd;
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
  const Sharing sharing = options.alone ? Sharing::kRefused : Sharing::kAllowed;
  auto socket = bound_socket(address, sharing, options);
  if (!socket) return socket;
  // Nobody can connect before listen().
  if (options.for_owner_and_group && !take_from_other_users(address)) return listen_failed(address, errno);
  if (options.file != SocketFile()) {
    if (auto changed = change_file(address, options.file); !changed)
      return tl::unexpected(std::move(changed.error()));
  }
  if (!set_listen_options(socket->number(), options)) return listen_failed(address, errno);
  return socket;
}

Result<void> check_free(const Address& address, const ListenOptions& options) {
  if (address.is_unix() || address.port() == 0) return {};
  return bound_socket(address, Sharing::kRefused, options).map([](const Fd&) {});
}

// The owner comes first: a file that others own already may be theirs to use, but not with more rights than
// the new mode leaves.
Result<SocketFile> change_file(const Address& address, const SocketFile& wanted) {
  const Fd file = hold_file(address);
  struct stat found{};
  const auto failed = [&](const char* what, int error) {
    return fail(ErrorKind::kSystem, std::string("cannot change the ") + what + " of " + address.text() +
                                        ": " + std::system_category().message(error) +
                                        (error == EPERM ? "; it takes root, or a restart as root" : ""));
  };
  if (!file || ::fstat(file.number(), &found) != 0) return failed("owner", errno);
  if (!S_ISSOCK(found.st_mode)) return failed("owner", ENOTSOCK);
  const SocketFile before{found.st_mode & 07777U, found.st_uid, found.st_gid};
  const bool same_owner = wanted.owner.value_or(found.st_uid) == found.st_uid &&
                          wanted.group.value_or(found.st_gid) == found.st_gid;
  if (!same_owner && !set_owner(file, wanted)) return failed("owner", errno);
  if (!wanted.mode || (same_owner && *wanted.mode == *before.mode) || set_mode(file, *wanted.mode))
    return before;
  const int error = errno;
  if (!same_owner) set_owner(file, before);
  return failed("mode", error);
}

// A socket that listens already takes a second listen() as a new backlog.
void set_incoming_cpu(int fd, std::optional<std::size_t> cpu) {
  const int wanted = cpu ? static_cast<int>(*cpu) : -1;
  int before = -1;
  socklen_t size = sizeof before;
  if (::getsockopt(fd, SOL_SOCKET, SO_INCOMING_CPU, &before, &size) == 0 && before == wanted) return;
  set_option(fd, SOL_SOCKET, SO_INCOMING_CPU, wanted);
}

bool set_listen_options(int fd, const ListenOptions& options) {
  const Address address = local_address(fd);
  if (!address.is_unix()) {
    if (!set_transparent(fd, address.family(), options.transparent)) return false;
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, options.defer_accept ? kDeferAcceptSeconds : 0);
  }
  return ::listen(fd, options.backlog) == 0;
}

Result<void> check_may_be_transparent() {
  const Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return fail_errno("cannot make a socket", errno);
  if (set_transparent(fd.number(), AF_INET, true)) return {};
  if (errno != EPERM) return fail_errno("this system has no IP_TRANSPARENT", errno);
  return fail(ErrorKind::kRefused,
              "this process may not use addresses that are not this machine's (IP_TRANSPARENT): it needs "
              "CAP_NET_RAW or CAP_NET_ADMIN from its start");
}

// The kernel delivers to itself what it would send from the very address that it goes to.
bool is_of_this_machine(const Address& address) {
  if (address.is_loopback()) return true;
  const Fd fd(::socket(address.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd || ::connect(fd.number(), address.data(), address.size_bytes()) != 0) return false;
  return local_address(fd.number()).host_text() == address.host_text();
}

tl::expected<Connecting, int> start_connect(const Address& address, const OwnEnd& from) {
  Fd fd(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return tl::unexpected<int>(errno);
  if (from.address && !address.is_unix() && !bind_own_end(fd.number(), from))
    return tl::unexpected<int>(errno);
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

bool is_out_of_descriptors(int error) {
  return error == EMFILE || error == ENFILE;
}

bool is_shortage(int error) {
  return is_out_of_descriptors(error) || error == ENOBUFS || error == ENOMEM;
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
