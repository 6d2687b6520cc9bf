#pragma once

#include <cstdint>

#include "base/units.h"

namespace headgate {

/// Gives memory back to the system when many connections have come or gone. The C library keeps freed memory
/// for later use, between pieces that are still in use, until it is told to look for whole pages: the memory
/// that a connection held until it closed, and that its handshake needed for a moment. The process has one
/// object for the connections and one for the handshakes. Supervisor only.
class MemoryReturn {
 public:
  /// Fewer connections are not worth the cost: each arena is locked meanwhile, up to 0.4 ms for a MiB that is
  /// given back.
  static constexpr std::uint64_t kWorthwhile = 500;

  /// A call takes a smaller change since the call before for no change.
  static constexpr std::uint64_t kFew = 30;

  /// Call about twice a second with the number of open connections. Returns true when memory is to be given
  /// back now: half of a peak or more has gone, or kWorthwhile have come, and the number does not change any
  /// more.
  [[nodiscard]] bool is_due(std::uint64_t open);

  /// Gives memory back if is_due().
  void step(std::uint64_t open);

 private:
  std::uint64_t peak_ = 0, lowest_ = 0;  // since memory was given back
  std::uint64_t before_ = 0;
};

/// Gives memory back to the system while the process is near to `limits.max_memory`: the memory of
/// connections that have gone must not keep new ones out. Supervisor only.
class MemoryReturnNearLimit {
 public:
  static constexpr Duration kAtMostEvery = std::chrono::seconds(5);

  /// Whether memory is to be given back now.
  [[nodiscard]] bool is_due(bool is_near, TimePoint now);
  /// Gives memory back if is_due().
  void step(bool is_near, TimePoint now);

 private:
  TimePoint next_{};
};

}  // namespace headgate
