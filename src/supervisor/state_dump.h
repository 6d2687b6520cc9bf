#pragma once

#include "log/log.h"
#include "metrics/status_report.h"
#include "supervisor/workers.h"

namespace headgate {

/// Writes the state of the process into the log at any level: a line for the process, each worker, each
/// listener and each drain. For the case that the admin endpoint cannot be reached. Supervisor's thread.
///
/// The lines come once the workers have answered; the line of a worker that does not answer in time says that
/// it hangs. `log` outlives `workers`.
void write_state(Log& log, StatusReport status, Workers& workers);

}  // namespace headgate
