#pragma once

#include <ctime>

#include "base/units.h"

namespace headgate {

/// The CPU time that the calling thread has had since it began. A signal handler may call it.
[[nodiscard]] inline Duration thread_cpu_time() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

}  // namespace headgate
