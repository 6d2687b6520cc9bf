#include "base/cpu_set.h"

namespace headgate {

CpuSet CpuSet::of_this_thread() {
  CpuSet set;
  if (sched_getaffinity(0, sizeof set.cpus_, set.cpus_.data()) != 0) set = CpuSet();
  return set;
}

void CpuSet::add(std::size_t cpu) {
  CPU_SET_S(cpu, sizeof cpus_, cpus_.data());
}

bool CpuSet::has(std::size_t cpu) const {
  return CPU_ISSET_S(cpu, sizeof cpus_, cpus_.data());
}

int CpuSet::count() const {
  return CPU_COUNT_S(sizeof cpus_, cpus_.data());
}

bool CpuSet::bind(pthread_t thread) const {
  return pthread_setaffinity_np(thread, sizeof cpus_, cpus_.data()) == 0;
}

}  // namespace headgate
