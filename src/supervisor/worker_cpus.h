#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "base/cpu_set.h"
#include "base/result.h"
#include "config/config.h"

namespace headgate {

/// How many workers a configuration asks for, and on which CPUs they run.
struct WorkerPlan {
  std::size_t count = 0;
  std::vector<std::size_t> cpus;  ///< Worker i is bound to cpus[i % cpus.size()]; empty: no worker is bound.
  CpuSet all;                     ///< The CPUs of all workers together, for the threads that help them.
  bool incoming = false;          ///< A connection goes to the worker on the CPU that received it.

  [[nodiscard]] std::optional<std::size_t> cpu_of(std::size_t worker) const {
    return cpus.empty() ? std::nullopt : std::optional(cpus[worker % cpus.size()]);
  }
};

/// The plan for `config`, where the calling thread, and so the process, may run on `usable`. Errors:
/// kInvalid, for a CPU that is not among them.
[[nodiscard]] Result<WorkerPlan> plan_workers(const config::Config& config, const CpuSet& usable);

/// Whether the kernel gives a connection to the socket of the CPU that received it, where several sockets
/// share a port: Linux 6.2 and later do (SO_INCOMING_CPU, socket(7)).
[[nodiscard]] bool kernel_follows_incoming_cpu();

}  // namespace headgate
