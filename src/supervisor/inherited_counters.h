#pragma once

#include <string>
#include <vector>

#include "metrics/process_state.h"
#include "metrics/worker_metrics.h"

/// The counters that an upgrade carries on, so that none falls: of each listener the connections accepted and
/// closed, bytes and handshakes; of the process its reloads and hand-overs.
///
/// A line is "name value" and, for a counter of a listener, the listener's name at the end. A reader skips
/// names that it does not know, so both processes may be of different versions. inherited_servers.h has lines
/// of its own among them.
namespace headgate {

/// Returns the counters as they are now. Connections that moved are not counted as closed, because they go
/// on.
[[nodiscard]] std::vector<std::string> counters_to_leave(const MetricsRegistry& registry,
                                                         const ProcessState& state);

/// Adds `lines` to the counters, as if they came from one more worker. Supervisor, once for each line.
void inherit_counters(const std::vector<std::string>& lines, MetricsRegistry& registry, StateBoard& board);

}  // namespace headgate
