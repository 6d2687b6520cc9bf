#include "snapshot/pace.h"

#include <algorithm>
#include <chrono>

namespace headgate {

std::optional<TimePoint> after_event(TimePoint next, std::uint32_t per_second, TimePoint now) {
  constexpr Duration kSecond = std::chrono::seconds(1);
  const TimePoint due = std::max(next, now - kSecond);
  if (due > now) return std::nullopt;
  return due + kSecond / per_second;
}

bool Pace::take(std::uint32_t per_second, TimePoint now) {
  TimePoint next = next_.load(std::memory_order_relaxed);
  for (;;) {
    const auto following = after_event(next, per_second, now);
    if (!following) return false;
    if (next_.compare_exchange_weak(next, *following, std::memory_order_relaxed)) return true;
  }
}

}  // namespace headgate
