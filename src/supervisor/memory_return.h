#pragma once

#include <cstdint>

namespace headgate {

/// Gives memory back to the system when many connections have come or gone. The C library keeps what was
/// freed for those to come, between pieces that are still in use, until it is told to look for whole pages:
/// what a connection held until it closed, and what its handshake needed for a moment. One for the
/// connections, one for the handshakes. Supervisor only.
class MemoryReturn {
 public:
  /// Fewer are not worth it: each arena is locked meanwhile, up to 0.4 ms for a MiB that goes
  /// back.
  static constexpr std::uint64_t kWorthwhile = 500;

  /// Changes below this within one call are none.
  static constexpr std::uint64_t kFew = 30;

  /// Called about twice a second with how many are open. True when memory is to be given back
  /// now: half of a peak or more has gone, or kWorthwhile have come, and their number changes no longer.
  [[nodiscard]] bool is_due(std::uint64_t open);

  /// The same, and does it.
  void step(std::uint64_t open);

 private:
  std::uint64_t peak_ = 0, lowest_ = 0;  // since memory was given back
  std::uint64_t before_ = 0;
};

}  // namespace headgate
