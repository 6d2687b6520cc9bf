#include "snapshot/access_rules.h"

#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <optional>

namespace headgate {
namespace {

using Ip = std::array<std::uint8_t, 16>;

std::optional<Ip> ip_of(const Address& address) {
  Ip ip{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
  if (address.family() == AF_INET) {
    std::memcpy(ip.data() + 12, &reinterpret_cast<const sockaddr_in*>(address.data())->sin_addr, 4);
    return ip;
  }
  if (address.family() == AF_INET6) {
    std::memcpy(ip.data(), &reinterpret_cast<const sockaddr_in6*>(address.data())->sin6_addr, 16);
    return ip;
  }
  return std::nullopt;
}

Ip first_of(const Network& network) {
  Ip first{};
  std::copy(network.bytes().begin(), network.bytes().end(), first.begin());
  return first;
}

Ip last_of(const Network& network) {
  Ip last = first_of(network);
  for (auto bit = static_cast<std::size_t>(network.prefix_bits()); bit < 8 * last.size(); ++bit) {
    last[bit / 8] = static_cast<std::uint8_t>(last[bit / 8] | 0x80U >> bit % 8);
  }
  return last;
}

// The ends of ::ffff:0:0/96, in which IPv4 is kept, and their neighbours.
constexpr Ip kBeforeMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFE, 0xFF, 0xFF, 0xFF, 0xFF};
constexpr Ip kFirstMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
constexpr Ip kLastMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
constexpr Ip kAfterMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

}  // namespace

// ::/0 and the like hold IPv6 alone, so the place of IPv4 is cut out of them, as Network::contains() does.
void NetworkSet::add(const Network& network) {
  const Ip first = first_of(network), last = last_of(network);
  const bool around_ipv4 = first < kFirstMapped && last >= kLastMapped;
  if (!around_ipv4) return ranges_.push_back({first, last});
  ranges_.push_back({first, kBeforeMapped});
  if (last > kLastMapped) ranges_.push_back({kAfterMapped, last});
}

NetworkSet::NetworkSet(std::span<const Network> networks) {
  for (const Network& network : networks) add(network);
  std::sort(ranges_.begin(), ranges_.end(), [](const Range& a, const Range& b) { return a.first < b.first; });
  // Two ranges are apart, or one lies in the other. In that case the wider one, which comes first, is enough.
  std::vector<Range> merged;
  for (const Range& range : ranges_) {
    if (merged.empty() || merged.back().last < range.first) {
      merged.push_back(range);
    } else {
      merged.back().last = std::max(merged.back().last, range.last);
    }
  }
  ranges_ = std::move(merged);
}

bool NetworkSet::contains(const Address& address) const {
  const auto ip = ip_of(address);
  if (!ip) return false;
  const auto after =
      std::upper_bound(ranges_.begin(), ranges_.end(), *ip,
                       [](const Ip& value, const Range& range) { return value < range.first; });
  return after != ranges_.begin() && *ip <= std::prev(after)->last;
}

std::string_view name(Access access) {
  switch (access) {
    case Access::kAllowed:
      return "allowed";
    case Access::kDenied:
      return "denied";
    case Access::kNotListed:
      return "not listed in allow";
  }
  return "denied";
}

Access AccessRules::evaluate(const Address& source) const {
  if (deny_.contains(source)) return Access::kDenied;
  if (!allow_.empty() && !allow_.contains(source)) return Access::kNotListed;
  return Access::kAllowed;
}

}  // namespace headgate
