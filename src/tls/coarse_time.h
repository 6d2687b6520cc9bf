#pragma once

#include <time.h>

#include <chrono>
#include <cstdint>

namespace headgate {

/// Milliseconds of a clock that wraps around after 49 days.
using CoarseTime = std::chrono::duration<std::uint32_t, std::milli>;

/// The kernel's coarse clock: takes a few nanoseconds to read and is a few milliseconds off. Any thread.
inline CoarseTime coarse_now() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return CoarseTime(static_cast<std::uint32_t>(now.tv_sec * 1000 + now.tv_nsec / 1'000'000));
}

}  // namespace headgate
