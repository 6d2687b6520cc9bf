#pragma once

#include <cstdint>

#include "base/units.h"
#include "net/stream.h"

namespace headgate {

/// Watches whether a client takes the bytes that wait for it, for limits.read_bytes_per_second.
///
/// A look says how much the client's kernel has acknowledged by now, and sets a goal: kInterval later it must
/// have acknowledged the limit's bytes more, or all that is there now if that is less. A client that misses
/// the goal had something to take all the time, and took less. Nothing is looked at while nothing is sent.
///
/// The kernel acknowledges in steps, of a segment at most: up to 64 KiB on loopback. A client that keeps to
/// the limit may be a step behind, so the goal is a step lower, and where a step is more than half of what
/// the limit lets come in kInterval, the next look comes later. Loop thread only.
class ReaderWatch {
 public:
  /// The least time between two looks.
  static constexpr Duration kInterval = std::chrono::seconds(30);

  /// When the next look is due; TimePoint::max(): when something has been sent.
  [[nodiscard]] TimePoint next_look() const { return next_look_; }
  /// Begins to watch, if it does not yet. `sent_bytes` is the plaintext that `client` was given so far.
  void sent(const Stream& client, std::uint64_t sent_bytes, std::uint32_t bytes_per_second, TimePoint now) {
    if (next_look_ == TimePoint::max()) look(client, sent_bytes, bytes_per_second, now);
  }
  /// Looks whether the client has missed its goal, and sets the next one.
  [[nodiscard]] bool is_missed(const Stream& client, std::uint64_t sent_bytes, std::uint32_t bytes_per_second,
                               TimePoint now);

 private:
  std::int64_t look(const Stream& client, std::uint64_t sent_bytes, std::uint32_t bytes_per_second,
                    TimePoint now);

  TimePoint next_look_ = TimePoint::max();
  std::int64_t goal_bytes_ = 0;  // on the scale of the bytes that the client has taken
};

}  // namespace headgate
