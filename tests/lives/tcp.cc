#include "lives/tcp.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstring>
#include <tuple>
#include <utility>
#include <vector>

#include "base/check.h"

extern "C" {
ssize_t __real_send(int fd, const void* bytes, size_t size, int flags);
ssize_t __real_recv(int fd, void* into, size_t size, int flags);
ssize_t __real_recvmsg(int fd, msghdr* message, int flags);
int __real_shutdown(int fd, int how);
int __real_setsockopt(int fd, int level, int name, const void* value, socklen_t size);
int __real_getsockopt(int fd, int level, int name, void* value, socklen_t* size);
int __real_close(int fd);
int __real_ioctl(int fd, unsigned long request, void* argument);
int __real_clock_gettime(clockid_t clock, timespec* now);
}

namespace headgate::lives {
namespace {

constexpr std::size_t kMaxDescriptors = 4096;
std::array<Tcp*, kMaxDescriptors> connections{};
std::int64_t coarse_clock = 0;

int fail_with(int error) {
  errno = error;
  return -1;
}

/// Pairs of sockets that served a connection: making one costs more than all the rest of a short life.
std::vector<std::pair<Fd, Fd>>& spare_pairs() {
  static std::vector<std::pair<Fd, Fd>> spare;
  return spare;
}

std::pair<Fd, Fd> take_pair() {
  if (!spare_pairs().empty()) {
    auto pair = std::move(spare_pairs().back());
    spare_pairs().pop_back();
    return pair;
  }
  int fds[2];
  HG_CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
  const int least = 1;  // the kernel makes it its own minimum: one message fills it
  ::setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &least, sizeof least);
  return {Fd(fds[0]), Fd(fds[1])};
}

}  // namespace

void ByteQueue::pop(std::size_t size) {
  taken_ += size;
  if (taken_ == bytes_.size()) clear();
  if (taken_ > 1 << 16) {
    bytes_.erase(0, taken_);
    taken_ = 0;
  }
}

void set_coarse_clock(std::int64_t nanoseconds) {
  coarse_clock = nanoseconds;
}

Tcp::Tcp() {
  std::tie(near_, far_) = take_pair();
  HG_CHECK(static_cast<std::size_t>(near_.number()) < connections.size());
}

Tcp::~Tcp() {
  HG_CHECK(closed_);
  std::array<char, 8192> room{};
  while (__real_recv(near_.number(), room.data(), room.size(), 0) > 0) continue;
  while (__real_recv(far_.number(), room.data(), room.size(), 0) > 0) continue;
  spare_pairs().emplace_back(std::move(near_), std::move(far_));
}

Fd Tcp::descriptor() {
  connections[static_cast<std::size_t>(near_.number())] = this;
  return Fd(near_.number());
}

Tcp* Tcp::find(int fd) {
  const auto index = static_cast<std::size_t>(fd);
  return index < connections.size() ? connections[index] : nullptr;
}

void Tcp::peer_sends(std::string_view bytes) {
  if (fin_sent_ || reset_arrived_ || reset_told_) return;
  from_peer_.push(bytes);
  ++moves_;
}

void Tcp::peer_ends() {
  fin_sent_ = true;
  ++moves_;
}

// A reset comes behind the bytes that the window let through.
void Tcp::peer_resets() {
  if (reset_arrived_) return;
  arrive(options_.our_window);
  reset_from_peer();
}

void Tcp::peer_closes() {
  peer_ends();
  peer_closed_ = true;
  if (!to_peer_.empty()) reset_from_peer();
}

std::string Tcp::peer_takes(std::size_t most) {
  std::string taken(to_peer_.view().substr(0, most));
  to_peer_.pop(taken.size());
  if (!taken.empty()) ++moves_;
  return taken;
}

// Bytes that reach a descriptor that is closed are answered with a reset.
void Tcp::arrive(std::size_t most) {
  if (reset_arrived_) return;
  if (closed_ && !from_peer_.empty()) {
    if (!reset_told_) reset_from_us();
    from_peer_.clear();
  }
  const std::size_t room = options_.our_window - std::min(options_.our_window, inbox_.size());
  const std::size_t size = std::min({room, most, from_peer_.size()});
  if (size > 0) {
    inbox_.push(from_peer_.view().substr(0, size));
    from_peer_.pop(size);
    arrived_bytes_ += size;
    ++moves_;
  }
  if (fin_sent_ && from_peer_.empty() && !fin_arrived_) {
    fin_arrived_ = true;
    ++moves_;
  }
}

bool Tcp::tick() {
  const std::uint64_t before = moves_;
  arrive(options_.segment);
  if (reset_arrived_ || reset_told_) return moves_ != before;
  if (unacknowledged_ > 0 || fin_told_ != fin_acknowledged_) ++moves_;
  unacknowledged_ = 0;
  fin_acknowledged_ = fin_told_;
  const std::size_t room = options_.peer_window - std::min(options_.peer_window, to_peer_.size());
  const std::size_t size = std::min(room, outbox_.size());
  if (size > 0) {
    to_peer_.push(outbox_.view().substr(0, size));
    outbox_.pop(size);
    unacknowledged_ = size;
    ++moves_;
    if (peer_closed_) reset_from_peer();
  }
  if (fin_queued_ && outbox_.empty() && !fin_told_ && !reset_arrived_) {
    fin_told_ = true;
    ++moves_;
  }
  return moves_ != before;
}

// Linux: tcp_reset(). SIOCOUTQ keeps what it had, because it is a difference of sequence numbers.
void Tcp::reset_from_peer() {
  reset_arrived_ = true;
  error_ = fin_arrived_ ? EPIPE : ECONNRESET;
  unacknowledged_ += outbox_.size();
  outbox_.clear();
  from_peer_.clear();
  ++moves_;
}

void Tcp::reset_from_us() {
  reset_told_ = true;
  outbox_.clear();
  unacknowledged_ = 0;
  ++moves_;
}

// Linux: sk_stream_is_writeable() wants a third of the buffer.
bool Tcp::is_writable() const {
  if (reset_arrived_) return true;
  const std::size_t used = outbox_.size() + unacknowledged_;
  return used < options_.send_buffer &&
         options_.send_buffer - used >= std::max<std::size_t>(1, options_.send_buffer / 3);
}

// A message of this size fills the send buffer of a unix socket, so that epoll finds it not writable.
void Tcp::signal() {
  if (closed_) return;
  static constexpr std::array<char, 4096> kFill{};
  std::array<char, 8192> room;
  if (is_readable() != shown_readable_) {
    shown_readable_ = !shown_readable_;
    shown_readable_ ? __real_send(far_.number(), kFill.data(), 1, 0)
                    : __real_recv(near_.number(), room.data(), room.size(), 0);
  }
  if (is_writable() != shown_writable_) {
    shown_writable_ = !shown_writable_;
    shown_writable_ ? __real_recv(far_.number(), room.data(), room.size(), 0)
                    : __real_send(near_.number(), kFill.data(), kFill.size(), 0);
  }
}

ssize_t Tcp::send(const void* bytes, std::size_t size) {
  if (reset_arrived_) return fail_with(error_ != 0 ? std::exchange(error_, 0) : EPIPE);
  if (fin_queued_) return fail_with(EPIPE);
  const std::size_t used = outbox_.size() + unacknowledged_;
  const std::size_t taken = std::min(size, options_.send_buffer - std::min(options_.send_buffer, used));
  if (taken == 0 && size > 0) return fail_with(EAGAIN);
  outbox_.push({static_cast<const char*>(bytes), taken});
  ++moves_;
  return static_cast<ssize_t>(taken);
}

ssize_t Tcp::receive(void* into, std::size_t size, int flags) {
  if (!inbox_.empty()) {
    const std::size_t taken = std::min(size, inbox_.size());
    std::memcpy(into, inbox_.view().data(), taken);
    if ((flags & MSG_PEEK) != 0) return static_cast<ssize_t>(taken);
    inbox_.pop(taken);
    ++moves_;
    return static_cast<ssize_t>(taken);
  }
  if (fin_arrived_) return 0;
  if (!reset_arrived_) return fail_with(EAGAIN);
  if (error_ == 0) return 0;
  return fail_with(std::exchange(error_, 0));  // also where it only peeks
}

int Tcp::end_sending() {
  if (reset_arrived_) return fail_with(ENOTCONN);
  fin_queued_ = true;
  ++moves_;
  return 0;
}

int Tcp::take_error() {
  return std::exchange(error_, 0);
}

std::uint8_t Tcp::state() const {
  if (reset_arrived_ || (fin_arrived_ && fin_acknowledged_)) return TCP_CLOSE;
  if (fin_queued_) return fin_acknowledged_ ? TCP_FIN_WAIT2 : TCP_FIN_WAIT1;
  return fin_arrived_ ? TCP_CLOSE_WAIT : TCP_ESTABLISHED;
}

int Tcp::unacknowledged() const {
  const std::size_t fin = fin_queued_ && !fin_acknowledged_ ? 1 : 0;
  return static_cast<int>(outbox_.size() + unacknowledged_ + fin);
}

void Tcp::close() {
  connections[static_cast<std::size_t>(near_.number())] = nullptr;
  closed_ = true;
  ++moves_;
  if (reset_arrived_ || reset_told_) return;
  if (resets_on_close_ || !inbox_.empty()) return reset_from_us();
  fin_queued_ = true;
}

}  // namespace headgate::lives

using headgate::lives::Tcp;

extern "C" {

ssize_t __wrap_send(int fd, const void* bytes, size_t size, int flags) {
  Tcp* tcp = Tcp::find(fd);
  return tcp != nullptr ? tcp->send(bytes, size) : __real_send(fd, bytes, size, flags);
}

ssize_t __wrap_recv(int fd, void* into, size_t size, int flags) {
  Tcp* tcp = Tcp::find(fd);
  return tcp != nullptr ? tcp->receive(into, size, flags) : __real_recv(fd, into, size, flags);
}

ssize_t __wrap_recvmsg(int fd, msghdr* message, int flags) {
  Tcp* tcp = Tcp::find(fd);
  if (tcp == nullptr) return __real_recvmsg(fd, message, flags);
  ssize_t total = 0;
  for (std::size_t i = 0; i < message->msg_iovlen; ++i) {
    const iovec& part = message->msg_iov[i];
    if (part.iov_len == 0) continue;
    // Linux: a call that has bytes leaves the error of a reset to the next call.
    if (total > 0 && !tcp->has_bytes()) break;
    const ssize_t got = tcp->receive(part.iov_base, part.iov_len, flags);
    if (got < 0) return total > 0 ? total : got;
    total += got;
    if (static_cast<std::size_t>(got) < part.iov_len) break;
  }
  return total;
}

int __wrap_shutdown(int fd, int how) {
  Tcp* tcp = Tcp::find(fd);
  return tcp != nullptr ? tcp->end_sending() : __real_shutdown(fd, how);
}

int __wrap_setsockopt(int fd, int level, int name, const void* value, socklen_t size) {
  Tcp* tcp = Tcp::find(fd);
  if (tcp == nullptr) return __real_setsockopt(fd, level, name, value, size);
  if (level == SOL_SOCKET && name == SO_LINGER) {
    linger how{};
    std::memcpy(&how, value, sizeof how);
    tcp->set_linger(how.l_onoff != 0 && how.l_linger == 0);
  }
  return 0;
}

int __wrap_getsockopt(int fd, int level, int name, void* value, socklen_t* size) {
  Tcp* tcp = Tcp::find(fd);
  if (tcp == nullptr) return __real_getsockopt(fd, level, name, value, size);
  if (level == IPPROTO_TCP && name == TCP_INFO) {
    tcp_info info{};
    info.tcpi_state = tcp->state();
    std::memcpy(value, &info, std::min<std::size_t>(*size, sizeof info));
    return 0;
  }
  HG_CHECK(level == SOL_SOCKET && name == SO_ERROR);
  const int error = tcp->take_error();
  std::memcpy(value, &error, sizeof error);
  return 0;
}

int __wrap_close(int fd) {
  Tcp* tcp = Tcp::find(fd);
  if (tcp == nullptr) return __real_close(fd);
  tcp->close();
  return 0;
}

int __wrap_ioctl(int fd, unsigned long request, ...) {
  va_list arguments;
  va_start(arguments, request);
  void* argument = va_arg(arguments, void*);
  va_end(arguments);
  const Tcp* tcp = Tcp::find(fd);
  if (tcp == nullptr) return __real_ioctl(fd, request, argument);
  HG_CHECK(request == SIOCOUTQ);
  *static_cast<int*>(argument) = tcp->unacknowledged();
  return 0;
}

int __wrap_clock_gettime(clockid_t clock, timespec* now) {
  if (clock != CLOCK_MONOTONIC_COARSE) return __real_clock_gettime(clock, now);
  constexpr std::int64_t kSecond = 1'000'000'000;
  now->tv_sec = headgate::lives::coarse_clock / kSecond;
  now->tv_nsec = headgate::lives::coarse_clock % kSecond;
  return 0;
}

}  // extern "C"
