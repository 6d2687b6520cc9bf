#pragma once

#include <netinet/in.h>

#include <cstddef>
#include <cstdint>

namespace headgate::bench {

/// The loopback addresses that connections leave from.
///
/// One address has no more than some 40,000 ports, and a proxy that is fair between sources tells clients
/// apart by their addresses.
class Sources {
 public:
  /// `count` addresses from `first` (host byte order) on, in turn. With 0, each connection has an address of
  /// its own. Where `share` is more than 0, the first address has this share of the connections, and the
  /// others have the rest in turn.
  Sources(std::uint32_t first, std::size_t count, double share = 0)
      : first_(first), count_(count), share_(share) {}

  [[nodiscard]] sockaddr_in next();

 private:
  std::uint32_t first_;
  std::size_t count_;
  double share_;
  std::size_t turn_ = 0, others_ = 0;
  double owed_ = 0;
};

/// Honest clients leave from 16 addresses, attackers from others.
inline constexpr std::uint32_t kFirstHonestAddress = INADDR_LOOPBACK;                 // 127.0.0.1
inline constexpr std::uint32_t kFirstAttackerAddress = INADDR_LOOPBACK + (1U << 16);  // 127.1.0.1
inline constexpr std::size_t kHonestAddresses = 16;

/// A non-blocking socket that connects from `source` to `port` on 127.0.0.1. The caller owns it. How the
/// connecting ends is seen by its first send or receive.
[[nodiscard]] int connect_from(const sockaddr_in& source, std::uint16_t port);

}  // namespace headgate::bench
