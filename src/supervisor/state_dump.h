#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string_view>

#include "log/log.h"
#include "metrics/status_report.h"
#include "supervisor/workers.h"

namespace headgate {

using PhaseCounts = std::map<std::string_view, std::uint64_t>;

/// Counts the connections of `worker` by phase, in slices (worker/connection_walk.h). So a connection that
/// changes its phase or its place meanwhile may be counted twice. On the worker's thread, as `done`.
void count_phases(Worker& worker, std::function<void(const PhaseCounts&)> done);

/// Writes what the process is about into the log, whatever its level: a line for the process, each worker,
/// each listener and each drain. For when the admin endpoint cannot be reached. Supervisor's thread.
///
/// The lines come once the workers have answered; the line of a worker that does not answer in time says that
/// it hangs. `log` outlives `workers`.
void write_state(Log& log, StatusReport status, Workers& workers);

}  // namespace headgate
