#pragma once

#include <string>
#include <vector>

#include "backend/health_check.h"
#include "config/fault.h"
#include "log/log.h"
#include "snapshot/snapshot.h"

/// What the log says of a configuration, of the files it names and of its servers.
namespace headgate {

/// Logs the warnings, and returns the errors as lines, both with their place in the configuration.
/// Supervisor.
[[nodiscard]] std::vector<std::string> log_diagnostics(const Diagnostics& diagnostics,
                                                       const config::Places& places, Log& log);
/// The same for what the configuration itself is faulty in.
[[nodiscard]] std::vector<std::string> log_faults(const std::vector<config::Fault>& faults, Log& log);

/// A line for a server that came up or went down. Any thread.
void log_health(const HealthChange& change, Log& log);

}  // namespace headgate
