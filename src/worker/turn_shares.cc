#include "worker/turn_shares.h"

namespace headgate {

void TurnShares::newcomers_had(Duration time) {
  newcomers_had_ += time;
  had_in_turn_ += time;
}

void TurnShares::permits_had(Duration time) {
  permits_had_ = time;
  newcomers_had_ = {};
}

bool TurnShares::permits_are_due(bool newcomers_are_left) {
  if (newcomers_are_left && newcomers_had_ < permits_had_) return false;
  const bool wait = had_in_turn_ > Admission::kSlice && !permits_waited_;
  permits_waited_ = wait;
  return !wait;
}

}  // namespace headgate
