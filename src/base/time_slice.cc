#include "base/time_slice.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>

namespace headgate {
namespace {

// sched_setattr(2); the C library of Debian 12 does not declare it.
struct SchedulingAttributes {
  std::uint32_t size;
  std::uint32_t policy;
  std::uint64_t flags;
  std::int32_t nice;
  std::uint32_t priority;
  std::uint64_t runtime_ns;  // of an ordinary thread: its time slice; 0: the usual one
  std::uint64_t deadline_ns;
  std::uint64_t period_ns;
};

// The shortest slice that the kernel grants.
constexpr std::uint64_t kShortSliceNs = 100'000;

// About a tenth of a loop's share when both are busy: enough that handshakes go on under bulk traffic, little
// enough that a waking loop takes the processor at once.
constexpr std::int32_t kBackgroundNice = 10;

// A thread with a real-time policy keeps it: the kernel serves it before time slices matter.
bool is_ordinary(const SchedulingAttributes& attributes) {
  return attributes.policy == SCHED_OTHER || attributes.policy == SCHED_BATCH;
}

SchedulingAttributes attributes_of_thread() {
  SchedulingAttributes attributes{};
  attributes.policy = SCHED_FIFO;
  ::syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0);
  return attributes;
}

}  // namespace

void take_short_time_slices() {
  SchedulingAttributes attributes = attributes_of_thread();
  if (!is_ordinary(attributes)) return;
  attributes.runtime_ns = kShortSliceNs;
  ::syscall(SYS_sched_setattr, 0, &attributes, 0);
}

void work_in_background() {
  SchedulingAttributes attributes = attributes_of_thread();
  if (!is_ordinary(attributes)) return;
  attributes.nice = std::max(attributes.nice, kBackgroundNice);
  attributes.runtime_ns = 0;
  ::syscall(SYS_sched_setattr, 0, &attributes, 0);
}

}  // namespace headgate
