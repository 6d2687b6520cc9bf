#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "metrics/process_state.h"
#include "metrics/worker_metrics.h"

namespace headgate {

/// Numbers of a listener since the start, summed over all workers.
struct ListenerTotals {
  std::uint64_t accepted = 0, active = 0;
  std::uint64_t bytes_from_client = 0, bytes_to_client = 0;
  std::uint64_t handshakes_ok = 0, handshakes_resumed = 0, handshakes_failed = 0;
};

struct ServerTotals {
  std::uint64_t active = 0, connect_failures = 0;
  std::uint64_t spares = 0, spares_used = 0, spares_stopped = 0;
};

struct WorkerTotals {
  int worker = 0;
  std::uint64_t handshakes_in_progress = 0, handshakes_queued = 0, accept_pauses = 0;
  std::uint64_t cpu_and_one = 0;  ///< 1 + the CPU that it is bound to; 0: none.
};

/// The contents of /status.json: the supervisor's state and the workers' numbers.
struct StatusReport {
  ProcessState process{};
  std::map<std::string, ListenerTotals> listeners{};
  std::map<std::pair<std::string, std::string>, ServerTotals> servers{};  ///< By backend and server.
  std::vector<WorkerTotals> workers{};
};

/// Sums up the workers' counters and adds them to `state`. Any thread.
[[nodiscard]] StatusReport status_report(const MetricsRegistry& registry, ProcessState state);

}  // namespace headgate
