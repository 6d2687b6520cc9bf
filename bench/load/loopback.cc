#include "loopback.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "options.h"

namespace headgate::bench {
namespace {

sockaddr_in address_of(std::uint32_t host, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(host);
  return address;
}

}  // namespace

sockaddr_in Sources::next() {
  std::size_t chosen = count_ == 0 ? turn_ : turn_ % count_;
  ++turn_;
  if (share_ > 0 && count_ > 1) {
    owed_ += share_;
    const bool first = owed_ >= 1;
    if (first) owed_ -= 1;
    chosen = first ? 0 : 1 + others_++ % (count_ - 1);
  }
  return address_of(first_ + static_cast<std::uint32_t>(chosen), 0);
}

int connect_from(const sockaddr_in& source, std::uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) give_up(std::string("socket: ") + std::strerror(errno));
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  bind(fd, reinterpret_cast<const sockaddr*>(&source), sizeof source);
  const sockaddr_in address = address_of(INADDR_LOOPBACK, port);
  connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  return fd;
}

}  // namespace headgate::bench
