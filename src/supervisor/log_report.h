#pragma once

#include <string>
#include <vector>

#include "backend/health_check.h"
#include "config/fault.h"
#include "log/log.h"
#include "snapshot/snapshot.h"

/// Writes the log lines about a configuration, the files that it names and its servers.
namespace headgate {

/// Logs the warnings, and returns the errors as lines. Each names its place in the configuration. Supervisor.
[[nodiscard]] std::vector<std::string> log_diagnostics(const Diagnostics& diagnostics,
                                                       const config::Places& places, Log& log);
/// The same for the faults of the configuration itself.
[[nodiscard]] std::vector<std::string> log_faults(const std::vector<config::Fault>& faults, Log& log);

/// Writes a line for a server that came up or went down. Any thread.
void log_health(const HealthChange& change, Log& log);

}  // namespace headgate
