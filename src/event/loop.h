#pragma once

#include <cstdint>

#include "base/units.h"

struct ev_loop;

namespace headgate {

/// What a descriptor is watched for, or ready for. A set of two bits.
enum class Interest : std::uint8_t { kNone = 0, kRead = 1, kWrite = 2, kBoth = 3 };
constexpr Interest operator|(Interest a, Interest b) {
  return static_cast<Interest>(static_cast<int>(a) | static_cast<int>(b));
}
constexpr bool includes(Interest set, Interest part) {
  return (static_cast<int>(set) & static_cast<int>(part)) != 0;
}
/// Returns `part` if it is wanted, and nothing otherwise.
constexpr Interest interest_if(bool wanted, Interest part) {
  return wanted ? part : Interest::kNone;
}

/// One libev loop on epoll. Owned by one thread, and used by that thread only. Every watcher made on it must
/// be destroyed before it.
class Loop {
 public:
  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  /// Runs until stop().
  void run();
  /// Runs what is ready and does not wait; for tests.
  void run_once();
  /// Makes run() return at the end of this turn.
  void stop();

  [[nodiscard]] struct ev_loop* raw() const { return loop_; }

 private:
  struct ev_loop* loop_;
};

}  // namespace headgate
