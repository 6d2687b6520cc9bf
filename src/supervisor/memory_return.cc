#include "supervisor/memory_return.h"

#include <malloc.h>

#include <algorithm>
#include <utility>

namespace headgate {

bool MemoryReturn::is_due(std::uint64_t open) {
  peak_ = std::max(peak_, open);
  const bool goes_on = open < std::exchange(before_, open);
  if (peak_ < kWorthwhile || open > peak_ / 2 || goes_on) return false;
  peak_ = open;
  return true;
}

void MemoryReturn::step(std::uint64_t open) {
  if (is_due(open)) ::malloc_trim(0);
}

}  // namespace headgate
