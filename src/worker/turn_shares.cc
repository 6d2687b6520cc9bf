#include "worker/turn_shares.h"

#include <utility>

#include "worker/admission.h"

namespace headgate {

void TurnShares::permits_had(Duration time) {
  permits_had_ = time;
  newcomers_had_ = {};
}

TurnShares::Share TurnShares::take_turn(bool newcomers_wait, bool requests_wait) {
  const bool long_operation = std::exchange(operations_had_, Duration()) > Admission::kSlice;
  permits_waited_ = requests_wait && long_operation && !permits_waited_;
  if (permits_waited_) requests_wait = false;
  if (newcomers_wait && (!requests_wait || newcomers_had_ < permits_had_)) return Share::kNewcomers;
  return requests_wait ? Share::kPermits : Share::kNobody;
}

}  // namespace headgate
