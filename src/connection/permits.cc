#include "connection/permits.h"

#include "connection/connection.h"

namespace headgate {

void HeldRequest::permit_granted() {
  connection_.permit_granted();
}

void HeldRequest::permit_refused() {
  connection_.end(when_refused_, "the admission queue was too long");
}

void HeldRequest::shed() {
  connection_.end(CloseReason::kHandshakeShed);
}

}  // namespace headgate
