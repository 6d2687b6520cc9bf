#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "net/address.h"

namespace headgate {

/// A set of networks, with the same members as Network::contains() of each: "::/0" holds IPv6 alone. A
/// look-up takes the time of a binary search. A value.
class NetworkSet {
 public:
  NetworkSet() = default;
  explicit NetworkSet(std::span<const Network> networks);

  /// Whether `address` lies in any of them. A unix socket lies in none.
  [[nodiscard]] bool contains(const Address& address) const;
  [[nodiscard]] bool empty() const { return ranges_.empty(); }

 private:
  using Ip = std::array<std::uint8_t, 16>;  // IPv4 as IPv4-mapped IPv6
  struct Range {
    Ip first;
    Ip last;
  };
  void add(const Network& network);

  std::vector<Range> ranges_;  // sorted, without overlap
};

/// Why a source may or may not connect.
enum class Access : std::uint8_t {
  kAllowed,    ///< Listed in `allow`, or `allow` is empty.
  kDenied,     ///< Listed in `deny`.
  kNotListed,  ///< There is an `allow` list and the source is not in it.
};
/// "allowed", "denied", "not listed in allow".
[[nodiscard]] std::string_view name(Access access);

/// The `allow` and `deny` lists of a listener. A source in `deny` is refused, even if a narrower network in
/// `allow` has it. If `allow` is not empty, the source must be in it. Where a PROXY header is expected, the
/// source is the address in that header. Immutable; any thread.
class AccessRules {
 public:
  AccessRules() = default;
  AccessRules(std::span<const Network> allow, std::span<const Network> deny) : allow_(allow), deny_(deny) {}

  [[nodiscard]] Access evaluate(const Address& source) const;

 private:
  NetworkSet allow_;
  NetworkSet deny_;
};

}  // namespace headgate
