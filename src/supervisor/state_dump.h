#pragma once

#include "log/log.h"
#include "metrics/status_report.h"
#include "supervisor/workers.h"

namespace headgate {

/// Writes what the process is about into the log, whatever its level: a line for the process, each worker,
/// each listener and each drain. For when the admin endpoint cannot be reached. Supervisor's thread.
///
/// The lines come once the workers have answered; one that does not answer in time is said to hang. `log`
/// outlives `workers`.
void write_state(Log& log, StatusReport status, Workers& workers);

}  // namespace headgate
