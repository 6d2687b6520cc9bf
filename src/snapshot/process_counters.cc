#include "snapshot/process_counters.h"

namespace headgate {

bool ProcessCounters::enter(std::uint32_t most) {
  std::uint64_t connections = connections_.load(std::memory_order_relaxed);
  while (connections < most) {
    if (connections_.compare_exchange_weak(connections, connections + 1, std::memory_order_relaxed))
      return true;
  }
  return false;
}

}  // namespace headgate
