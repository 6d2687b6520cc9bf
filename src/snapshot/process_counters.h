#pragma once

#include <atomic>
#include <cstdint>

#include "base/units.h"
#include "snapshot/pace.h"
#include "snapshot/resident_memory.h"

namespace headgate {

/// The numbers about the process that all workers share, for the limits that bind them together. Every
/// snapshot of a process has the same one. Any thread; untouched where no such limit is configured.
class ProcessCounters {
 public:
  /// Takes a place for one of at most `most` connections. False: all places are taken.
  [[nodiscard]] bool enter(std::uint32_t most);
  /// Takes places for connections that are there already.
  void add(std::uint64_t connections) { connections_.fetch_add(connections, std::memory_order_relaxed); }
  /// Gives places back.
  void remove(std::uint64_t connections) { connections_.fetch_sub(connections, std::memory_order_relaxed); }

  /// Whether another handshake may begin now under `per_second`. A second's worth may come at once.
  [[nodiscard]] bool take_handshake(std::uint32_t per_second, TimePoint now) {
    return handshakes_.take(per_second, now);
  }

  /// Whether the process is so near to `max_memory` that it takes no more connections. 0 is no limit.
  [[nodiscard]] bool is_near(Bytes max_memory, TimePoint now) {
    return max_memory.count > 0 && memory_.size(now) >= near(max_memory);
  }
  /// Nine tenths: the rest is for the connections that are there.
  [[nodiscard]] static constexpr Bytes near(Bytes max_memory) {
    return {max_memory.count - max_memory.count / 10};
  }

 private:
  // Each has a cache line of its own, since any worker may write it.
  alignas(64) std::atomic<std::uint64_t> connections_{0};
  alignas(64) Pace handshakes_;
  alignas(64) ResidentMemory memory_;
};

}  // namespace headgate
