#pragma once

#include <cstdint>

#include "base/units.h"

namespace headgate {

/// Decides which handshakes a turn of the loop serves: newcomers, or the permits of the admission queue.
/// Never both, so that an established connection waits for one of them only.
///
///  - While both wait, newcomers get as much time as the permits: the kernel's queue of a listening socket is
///    served in order, so the honest clients in it are found only if Headgate takes connections out of that
///    queue as fast as they come.
///  - A permit lets a step of some 0.3 ms begin. In a turn in which finished operations have already had more
///    than a slice, established connections come first once more; the permits have the next turn.
///
/// A worker owns it, loop thread only.
class TurnShares {
 public:
  enum class Share : std::uint8_t { kNobody, kNewcomers, kPermits };

  void newcomers_had(Duration time) { newcomers_had_ += time; }
  /// Steps that went on behind an operation of the worker's other thread.
  void operations_had(Duration time) { operations_had_ += time; }
  void permits_had(Duration time);

  /// Returns the share that has this turn, and begins the next turn. Called once in each turn.
  [[nodiscard]] Share take_turn(bool newcomers_wait, bool requests_wait);

 private:
  Duration newcomers_had_{};   // since the last permits
  Duration permits_had_{};     // the last time
  Duration operations_had_{};  // in this turn
  bool permits_waited_ = false;
};

}  // namespace headgate
