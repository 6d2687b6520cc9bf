#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "modes.h"
#include "poller.h"
#include "tls_connection.h"

namespace headgate::bench {
namespace {

/// One connection from the proxy.
class Served final : public Pollable {
 public:
  /// `ended` is called last when it ends, and destroys it.
  using Ended = std::function<void(Served*)>;
  Served(Poller& poller, int fd, const Ended& ended) : fd_(fd), ended_(ended) { poller.add(fd, *this); }
  ~Served() override { close(fd_); }

  void on_ready() override {
    if (!send_more() || (unsent_.empty() && !receive_more())) ended_(this);
  }

 private:
  /// Receives until nothing is there or an answer does not leave; false when the connection has ended.
  bool receive_more() {
    static std::array<char, 256 * 1024> buffer;
    while (unsent_.empty()) {
      const ssize_t got = recv(fd_, buffer.data(), buffer.size(), 0);
      if (got < 0 && errno == EAGAIN) return true;
      if (got <= 0) return false;
      take(std::span(buffer.data(), static_cast<std::size_t>(got)));
      if (!send_more()) return false;
    }
    return true;
  }

  void take(std::span<const char> bytes) {
    if (request_bytes_ < kRequestBytes) {
      const std::size_t part = std::min(kRequestBytes - request_bytes_, bytes.size());
      std::copy_n(bytes.begin(), part, request_.begin() + static_cast<std::ptrdiff_t>(request_bytes_));
      request_bytes_ += part;
      bytes = bytes.subspan(part);
      if (request_bytes_ < kRequestBytes) return;
      std::memcpy(&left_, request_.data() + 1, sizeof left_);
      if (request_[0] == 'd') to_send_ = left_;
    }
    if (request_[0] == 'e') unsent_.append(bytes.data(), bytes.size());
    if (request_[0] != 'u' || bytes.empty()) return;
    left_ -= bytes.size();
    if (left_ == 0) unsent_ = "k";
  }

  /// Sends answers and, for 'd', filling; false when the connection has ended.
  bool send_more() {
    static const std::string filling(256 * 1024, 'x');
    while (!unsent_.empty() || to_send_ > 0) {
      const std::string_view next = unsent_.empty() ? std::string_view(filling).substr(0, to_send_) : unsent_;
      const ssize_t sent = send(fd_, next.data(), next.size(), MSG_NOSIGNAL);
      if (sent < 0) return errno == EAGAIN;
      if (unsent_.empty()) {
        to_send_ -= static_cast<std::uint64_t>(sent);
      } else {
        unsent_.erase(0, static_cast<std::size_t>(sent));
      }
    }
    return true;
  }

  int fd_;
  const Ended& ended_;
  std::array<char, kRequestBytes> request_{};
  std::size_t request_bytes_ = 0;
  std::uint64_t left_ = 0;
  std::uint64_t to_send_ = 0;
  std::string unsent_;
};

int open_socket(int family) {
  return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

template <class SystemAddress>
void listen_on(int fd, const SystemAddress& address, const std::string& name) {
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 || listen(fd, 4096) != 0) {
    give_up("backend: cannot listen on " + name + ": " + std::strerror(errno));
  }
}

int listening_port(std::uint16_t port) {
  const int fd = open_socket(AF_INET);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // inherited by what is accepted
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  listen_on(fd, address, "port " + std::to_string(port));
  return fd;
}

int listening_unix_socket(const std::string& path) {
  const int fd = open_socket(AF_UNIX);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  listen_on(fd, address, path);
  return fd;
}

class Acceptor final : public Pollable {
 public:
  /// Owns `fd`, which listens.
  Acceptor(Poller& poller, int fd) : poller_(poller), fd_(fd) { poller.add(fd_, *this); }
  ~Acceptor() override { close(fd_); }

  void on_ready() override {
    for (int fd = 0; (fd = accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
      auto served = std::make_unique<Served>(poller_, fd, forget_);
      Served* const key = served.get();
      served_.emplace(key, std::move(served));
    }
  }

 private:
  Poller& poller_;
  int fd_;
  std::unordered_map<Served*, std::unique_ptr<Served>> served_;
  const Served::Ended forget_ = [this](Served* served) { served_.erase(served); };
};

}  // namespace

void run_backend(const Options& options) {
  Poller poller;
  Acceptor acceptor(poller, listening_port(options.port));
  std::optional<Acceptor> beside;
  if (!options.socket.empty()) beside.emplace(poller, listening_unix_socket(options.socket));
  for (;;) poller.turn(TimePoint::max());
}

}  // namespace headgate::bench
