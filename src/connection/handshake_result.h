#pragma once

#include <optional>
#include <string_view>

#include "base/close_reason.h"
#include "connection/connection_info.h"
#include "connection/flight_recorder.h"
#include "connection/phase.h"
#include "metrics/worker_metrics.h"

namespace headgate {

/// Counts the result of a TLS listener's handshake if it did not succeed: a success was counted when the peer
/// was authorized. `reason` is the connection's end. Returns the result that was counted. Loop thread.
std::optional<HandshakeResult> count_handshake_end(ListenerMetrics& metrics, const ConnectionInfo& info,
                                                   CloseReason reason);

/// Counts a handshake with that `result` for the listener's penalties, if it has some. Handshakes that were
/// shed and probes do not count.
void count_for_penalties(ListenerState& listener, const ConnectionInfo& info, HandshakeResult result,
                         TimePoint now);

/// Tells the flight recorder of a handshake that ended in `phase` without an answer to the client: the client
/// went, sent nothing more, or may not pass. A handshake that ended with an alert was recorded when the alert
/// was sent. Shed handshakes are left out: they are many, and their clients did nothing wrong.
void record_handshake_end(FlightRecorder& recorder, std::string_view listener, const ConnectionInfo& info,
                          HandshakeResult result, const Phase& phase, TimePoint now);

}  // namespace headgate
