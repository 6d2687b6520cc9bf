#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace headgate {

/// What the kernel's TCP knows of a connection (TCP_INFO, tcp(7)).
struct TcpState {
  std::chrono::microseconds rtt{};  ///< Smoothed.
  std::uint32_t retransmits = 0;    ///< Segments that were sent again since the connection began.
};

/// The state of the TCP connection of `fd`: one system call of less than a microsecond. Nothing for another
/// socket, and for -1. Any thread.
[[nodiscard]] std::optional<TcpState> tcp_state(int fd);

}  // namespace headgate
