#include "net/tcp_state.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace headgate {

std::optional<TcpState> tcp_state(int fd) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return std::nullopt;
  return TcpState{.rtt = std::chrono::microseconds(info.tcpi_rtt), .retransmits = info.tcpi_total_retrans};
}

}  // namespace headgate
