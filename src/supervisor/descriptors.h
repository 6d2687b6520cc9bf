#pragma once

#include <cstdint>

#include "base/result.h"

namespace headgate {

/// Raises the soft limit of open descriptors to the hard one, and returns the limit that holds now. Errors:
/// kSystem.
[[nodiscard]] Result<std::uint64_t> raise_descriptor_limit();

/// Keeps the kernel's table of this process' descriptors larger than it has to be.
///
/// When the table is full, the kernel doubles it, and in a process with several threads the call that needs
/// the descriptor (an accept, say) waits for an RCU grace period meanwhile: 10 to 20 ms in which a loop
/// serves nobody. So a thread that may wait makes the table large at start, and doubles it ahead of the need.
class DescriptorTable {
 public:
  /// As many descriptors as 32,768 connections have. The table takes 8 bytes for each, in the kernel.
  static constexpr int kAtStart = 65'536;

  /// Makes the table that large, or as large as the limit of descriptors allows. The call may wait for 20 ms.
  void make(int size = kAtStart);
  /// Doubles the table once half of it is in use, and then may wait for as long.
  void grow_ahead();

 private:
  int size_ = 0;  // at least so many descriptors fit
};

}  // namespace headgate
