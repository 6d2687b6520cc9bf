#pragma once

#include <cstdint>
#include <vector>

#include "metrics/process_state.h"
#include "metrics/worker_metrics.h"
#include "snapshot/snapshot.h"
#include "supervisor/listening_sockets.h"

/// What the status board shows of the configuration in force, of its servers and of the workers. Supervisor.
namespace headgate {

/// Counts the diagnostics that are no warnings.
void count_faults(const Diagnostics& diagnostics, StateBoard& board);

/// Listeners, certificates and backends as they are in force.
void report_snapshot(const Snapshot& snapshot, const ListeningSockets& sockets, ProcessState& state);
/// Which servers are up.
void report_servers(const Snapshot& snapshot, ProcessState& state);
/// How busy each worker was since `before_us`, which is brought up to date.
void report_busy_ratios(const MetricsRegistry& registry, std::vector<std::uint64_t>& before_us,
                        Duration elapsed, StateBoard& board);

}  // namespace headgate
