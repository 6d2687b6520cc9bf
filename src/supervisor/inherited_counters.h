#pragma once

#include <string>
#include <vector>

#include "metrics/process_state.h"
#include "metrics/worker_metrics.h"

/// What an upgrade carries on of the counters, so that none falls: of each listener the connections accepted
/// and closed, bytes and handshakes; of the process its reloads and hand-overs.
///
/// A line is "name value" and, where it is a listener's, its name behind that. Names that a reader does not
/// know are skipped, so both ends may be of different versions.
namespace headgate {

/// The counters as they are now. Connections that moved are not counted as closed: they go on.
[[nodiscard]] std::vector<std::string> counters_to_leave(const MetricsRegistry& registry,
                                                         const ProcessState& state);

/// Adds `lines` to the counters, as if of one more worker. Supervisor, once.
void inherit_counters(const std::vector<std::string>& lines, MetricsRegistry& registry, StateBoard& board);

}  // namespace headgate
