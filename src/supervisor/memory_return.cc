#include "supervisor/memory_return.h"

#include <malloc.h>

#include <algorithm>
#include <utility>

namespace headgate {

bool MemoryReturn::is_due(std::uint64_t open) {
  peak_ = std::max(peak_, open);
  lowest_ = std::min(lowest_, open);
  const std::uint64_t before = std::exchange(before_, open);
  const bool goes_on = std::max(before, open) - std::min(before, open) > kFew;
  const bool went = peak_ >= kWorthwhile && open <= peak_ / 2;
  const bool came = open >= lowest_ + kWorthwhile;
  if (goes_on || !(went || came)) return false;
  peak_ = lowest_ = open;
  return true;
}

void MemoryReturn::step(std::uint64_t open) {
  if (is_due(open)) ::malloc_trim(0);
}

bool MemoryReturnNearLimit::is_due(bool is_near, TimePoint now) {
  if (!is_near || now < next_) return false;
  next_ = now + kAtMostEvery;
  return true;
}

void MemoryReturnNearLimit::step(bool is_near, TimePoint now) {
  if (is_due(is_near, now)) ::malloc_trim(0);
}

}  // namespace headgate
