#include "supervisor/worker_cpus.h"

#include <sys/utsname.h>

#include <cstdio>
#include <string>

#include "supervisor/cpu_count.h"

namespace headgate {
namespace {

std::string list_of(const CpuSet& set) {
  std::string list;
  for (std::size_t cpu = 0; cpu <= config::kLastCpu; ++cpu) {
    if (set.has(cpu)) list += (list.empty() ? "" : ", ") + std::to_string(cpu);
  }
  return list;
}

}  // namespace

Result<WorkerPlan> plan_workers(const config::Config& config, const CpuSet& usable) {
  WorkerPlan plan{.count = static_cast<std::size_t>(config.workers), .cpus = {}, .all = usable};
  if (config.worker_cpus.empty()) {
    if (plan.count == 0) plan.count = static_cast<std::size_t>(usable_cpus());
    return plan;
  }
  plan.all = CpuSet();
  for (const config::CpuRange& range : config.worker_cpus) {
    for (std::size_t cpu = range.first; cpu <= range.last; ++cpu) {
      if (!usable.has(cpu)) {
        return fail(ErrorKind::kInvalid, "workers.cpus: CPU " + std::to_string(cpu) +
                                             " is none that this process may use; it may use " +
                                             list_of(usable));
      }
      plan.cpus.push_back(cpu);
      plan.all.add(cpu);
    }
  }
  if (plan.count == 0) plan.count = plan.cpus.size();
  plan.incoming = config.worker_incoming_cpu;
  return plan;
}

bool kernel_follows_incoming_cpu() {
  utsname system{};
  int major = 0;
  int minor = 0;
  if (::uname(&system) != 0 || std::sscanf(system.release, "%d.%d", &major, &minor) != 2) return false;
  return major > 6 || (major == 6 && minor >= 2);
}

}  // namespace headgate
