#pragma once

#include "base/close_reason.h"
#include "connection/facts.h"
#include "metrics/worker_metrics.h"

namespace headgate {

/// Counts how the handshake of a TLS listener's connection ended, if it did not end well: that was counted
/// when the peer was authorized. `reason` is the connection's end. Loop thread.
void count_handshake_end(ListenerMetrics& metrics, const Facts& facts, CloseReason reason);

}  // namespace headgate
