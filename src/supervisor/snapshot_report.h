#pragma once

#include <string>
#include <vector>

#include "backend/health_check.h"
#include "config/config.h"
#include "log/log.h"
#include "metrics/process_state.h"
#include "snapshot/snapshot.h"
#include "supervisor/listening_sockets.h"

/// What the supervisor says of a snapshot: to the log, to the status board, to whoever asked for a reload.
/// Supervisor.
namespace headgate {

/// Logs the warnings, and returns the errors as lines, both with their place in the configuration.
[[nodiscard]] std::vector<std::string> log_diagnostics(const Diagnostics& diagnostics,
                                                       const config::Places& places, Log& log);

/// Counts those that are no warnings.
void count_faults(const Diagnostics& diagnostics, StateBoard& board);

/// A line for a server that came up or went down. Any thread.
void log_health(const HealthChange& change, Log& log);

/// Adds an error for each listener whose files, under an unchanged configuration, no longer cover a name that
/// is served now: a renewal that lost a name is a mistake.
void refuse_lost_names(const Snapshot& now, const Snapshot& next, std::vector<std::string>& errors);

/// Listeners, certificates and backends as they are in force.
void report_snapshot(const Snapshot& snapshot, const ListeningSockets& sockets, ProcessState& state);
/// Which servers are up.
void report_servers(const Snapshot& snapshot, ProcessState& state);
/// How busy each worker was since `before_us`, which is brought up to date.
void report_busy_ratios(const MetricsRegistry& registry, std::vector<std::uint64_t>& before_us,
                        Duration elapsed, StateBoard& board);

/// The version of the OpenSSL that runs: "OpenSSL 3.0.17 1 Jul 2025".
[[nodiscard]] std::string openssl_version();

/// The directories that the process writes to: those of sockets, of key logs and of `log_file` (empty: none).
[[nodiscard]] std::vector<std::string> writable_directories(const config::Config& config,
                                                            const std::string& log_file);

}  // namespace headgate
