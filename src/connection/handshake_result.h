#pragma once

#include <optional>
#include <string_view>

#include "base/close_reason.h"
#include "connection/connection_info.h"
#include "connection/flight_recorder.h"
#include "connection/phase.h"
#include "metrics/worker_metrics.h"

namespace headgate {

/// Counts how the handshake of a TLS listener's connection ended, if it did not end well: that was counted
/// when the peer was authorized. `reason` is the connection's end. Returns what was counted. Loop thread.
std::optional<HandshakeResult> count_handshake_end(ListenerMetrics& metrics, const ConnectionInfo& info,
                                                   CloseReason reason);

/// Tells the flight recorder of a handshake that ended in `phase` with no answer to the client: it went, said
/// nothing more, or may not pass. Where it was answered with an alert, that moment has told already. What was
/// shed is left out: there are many, and nothing is wrong with them.
void record_handshake_end(FlightRecorder& recorder, std::string_view listener, const ConnectionInfo& info,
                          HandshakeResult result, const Phase& phase, TimePoint now);

}  // namespace headgate
