#include "connection/permits.h"

#include "connection/connection.h"

namespace headgate {

void HeldRequest::permit_granted() {
  connection_.permit_granted();
}

void HeldRequest::permit_refused() {
  connection_.end(CloseReason::kHandshakeShed, detail_when_refused_);
}

void HeldRequest::shed() {
  connection_.end(CloseReason::kHandshakeShed, "limits.max_handshakes");
}

}  // namespace headgate
