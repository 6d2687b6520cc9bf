#include "base/time_slice.h"

#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>

#include "base/thread_cpu_time.h"

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

// Longer than that, so that a waking loop interrupts this thread. A yield gives up the rest of a slice, on
// Linux 6.18 even when nobody else wants it: so the slice is hardly longer than the time between two yields.
constexpr std::uint64_t kBackgroundSliceNs = 500'000;

// About a tenth of a loop's share when both are busy: enough that handshakes go on under bulk traffic, little
// enough that a waking loop takes the processor at once.
constexpr std::int32_t kBackgroundNice = 10;

constexpr long kYieldIntervalNs = 400'000;

// By default this signal does nothing, and no other part of the process uses it.
constexpr int kYieldSignal = SIGURG;

// A thread that has had less CPU time than this since its last yield goes on. The timer also runs while the
// thread waits for the processor, so the signal that came meanwhile is handled first when the thread gets it.
// A yield then would give the time slice away unused, and beside a busy loop the thread would hardly get on.
constexpr Duration kLeastBetweenYields = std::chrono::nanoseconds(kYieldIntervalNs / 2);

thread_local constinit Duration cpu_at_last_yield{};

void yield_processor(int) {
  const int before = errno;
  const Duration now = thread_cpu_time();
  if (now - cpu_at_last_yield >= kLeastBetweenYields) {
    cpu_at_last_yield = now;
    ::sched_yield();
  }
  errno = before;
}

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
  attributes.runtime_ns = kBackgroundSliceNs;
  ::syscall(SYS_sched_setattr, 0, &attributes, 0);
}

RegularYields::RegularYields() {
  struct sigaction action = {};
  action.sa_handler = yield_processor;
  action.sa_flags = SA_RESTART;
  ::sigaction(kYieldSignal, &action, nullptr);
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, kYieldSignal);
  ::pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  sigevent to_this_thread{};
  to_this_thread.sigev_notify = SIGEV_THREAD_ID;
  to_this_thread.sigev_signo = kYieldSignal;
  to_this_thread._sigev_un._tid = ::gettid();  // the C library of Debian 12 has no other name for it
  has_timer_ = ::timer_create(CLOCK_MONOTONIC, &to_this_thread, &timer_) == 0;
}

RegularYields::~RegularYields() {
  if (has_timer_) ::timer_delete(timer_);
}

void RegularYields::begin() {
  set(kYieldIntervalNs);
}

void RegularYields::end() {
  set(0);
}

void RegularYields::set(long interval_ns) {
  if (!has_timer_) return;
  const itimerspec regularly{.it_interval = {0, interval_ns}, .it_value = {0, interval_ns}};
  ::timer_settime(timer_, 0, &regularly, nullptr);
}

}  // namespace headgate
