#pragma once

#include <cstddef>
#include <functional>

#include "log/log.h"
#include "metrics/status_report.h"
#include "worker/worker.h"

namespace headgate {

/// Writes what the process is about into the log, whatever its level: a line for the process, each worker,
/// each listener and each drain. For when the admin endpoint cannot be reached. Supervisor's thread.
///
/// `ask_workers` runs the function on each worker's thread and waits for all for a while; a worker that does
/// not answer in that time is said to hang.
void write_state(Log& log, const StatusReport& status,
                 const std::function<std::size_t(const std::function<void(Worker&)>&)>& ask_workers);

}  // namespace headgate
