#pragma once

#include <cstdint>
#include <vector>

#include "metrics/process_state.h"
#include "metrics/worker_metrics.h"
#include "snapshot/snapshot.h"
#include "supervisor/listening_sockets.h"

/// Fills the parts of the status board about the configuration in force, its servers and the workers.
/// Supervisor.
namespace headgate {

/// Counts the diagnostics that are not warnings.
void count_faults(const Diagnostics& diagnostics, StateBoard& board);

/// Listeners, certificates and backends as they are in force.
void report_snapshot(const Snapshot& snapshot, const ListeningSockets& sockets, ProcessState& state);
/// Which servers are up.
void report_servers(const Snapshot& snapshot, ProcessState& state);
/// Shows how busy each worker was since `before_us`, and brings `before_us` up to date.
void report_busy_ratios(const MetricsRegistry& registry, std::vector<std::uint64_t>& before_us,
                        Duration elapsed, StateBoard& board);

}  // namespace headgate
