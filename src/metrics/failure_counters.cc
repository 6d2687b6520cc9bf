#include "metrics/failure_counters.h"

#include "metrics/alert_name.h"

namespace headgate {
namespace {

// 0 stands for a free place.
std::uint16_t pair_of(HandshakeFailure reason, std::uint8_t alert) {
  return static_cast<std::uint16_t>((static_cast<unsigned>(reason) + 1) << 8 | alert);
}

}  // namespace

void FailureCounters::add(HandshakeFailure reason, std::uint8_t alert, std::uint64_t n) {
  of(reason, named_alert(alert)).add(n);
}

Counter& FailureCounters::of(HandshakeFailure reason, std::uint8_t alert) {
  const std::uint16_t wanted = pair_of(reason, alert);
  for (std::size_t i = 0; i < kPairs; ++i) {
    const std::uint16_t pair = pairs_[i].load(std::memory_order_relaxed);
    if (pair == 0) pairs_[i].store(wanted, std::memory_order_relaxed);
    if (pair == 0 || pair == wanted) return counts_[i];
  }
  return beyond_[static_cast<std::size_t>(reason)];
}

// A pair never changes once it is stored, so a reader sees it with its count or sees no pair yet.
void FailureCounters::add_to(std::map<std::pair<HandshakeFailure, std::uint8_t>, std::uint64_t>& sums) const {
  const auto add = [&](HandshakeFailure reason, std::uint8_t alert, std::uint64_t count) {
    if (count > 0) sums[{reason, alert}] += count;
  };
  for (std::size_t i = 0; i < kPairs; ++i) {
    const std::uint16_t pair = pairs_[i].load(std::memory_order_relaxed);
    if (pair == 0) break;
    add(static_cast<HandshakeFailure>((pair >> 8) - 1), static_cast<std::uint8_t>(pair & 0xff),
        counts_[i].value());
  }
  for (std::size_t i = 0; i < kHandshakeFailureCount; ++i)
    add(static_cast<HandshakeFailure>(i), kOtherAlert, beyond_[i].value());
}

}  // namespace headgate
