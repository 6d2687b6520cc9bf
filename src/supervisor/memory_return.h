#pragma once

#include <cstdint>

namespace headgate {

/// Gives memory back to the system after a peak of connections. The C library keeps what was freed for those
/// to come, between pieces that are still in use, until it is told to look for whole pages. Supervisor only.
class MemoryReturn {
 public:
  /// Peaks below this are not worth it: each arena is locked meanwhile, up to 0.4 ms for a MiB that goes
  /// back.
  static constexpr std::uint64_t kWorthwhile = 500;

  /// Called about once a second with the connections that are open. True when memory is to be given back now:
  /// half of a peak or more has gone, and they go no longer.
  [[nodiscard]] bool is_due(std::uint64_t open);

  /// The same, and does it.
  void step(std::uint64_t open);

 private:
  std::uint64_t peak_ = 0, before_ = 0;
};

}  // namespace headgate
