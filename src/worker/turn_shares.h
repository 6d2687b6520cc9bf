#pragma once

#include "base/units.h"
#include "worker/admission.h"

namespace headgate {

/// Decides in which turns of the loop the admission queue gives permits, by the time that handshakes had.
///
///  - While newcomers are left over, they get as much time as the permits: clients in the kernel's queue of a
///    listening socket are served in order, so the honest ones among them are found only if Headgate takes
///    connections out of that queue as fast as they come.
///  - A permit lets a step of some 0.3 ms begin. In a turn in which newcomers and finished operations have
///    already had more than a slice, established connections come first once more; the permits have the next
///    turn.
///
/// A worker owns it, loop thread only.
class TurnShares {
 public:
  void newcomers_had(Duration time);
  /// Steps that went on behind an operation of the worker's other thread.
  void operations_had(Duration time) { had_in_turn_ += time; }
  void permits_had(Duration time);

  /// Whether permits are given in this turn, in which newcomers have had their share. Called once in each
  /// turn in which requests are queued.
  [[nodiscard]] bool permits_are_due(bool newcomers_are_left);
  /// Called at the end of each turn.
  void turn_over() { had_in_turn_ = {}; }

 private:
  Duration newcomers_had_{};  // since the last permits
  Duration permits_had_{};    // the last time
  Duration had_in_turn_{};    // newcomers and operations
  bool permits_waited_ = false;
};

}  // namespace headgate
