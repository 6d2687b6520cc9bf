#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "base/units.h"

namespace headgate {

/// The rule of a rate of `per_second` events a second, of which a second's worth may come at once. `next` is
/// when an event would be due if they came evenly. Returns that time for the event after one that comes now;
/// nothing: it may not come now. `per_second` is not 0. Pure; any thread.
[[nodiscard]] std::optional<TimePoint> after_event(TimePoint next, std::uint32_t per_second, TimePoint now);

/// Lets events through at a rate. Any thread, without a lock: an event that may not come writes nothing.
class Pace {
 public:
  /// Whether another event may come now, by the rule of after_event().
  [[nodiscard]] bool take(std::uint32_t per_second, TimePoint now);

 private:
  std::atomic<TimePoint> next_{TimePoint()};
};

}  // namespace headgate
