#pragma once

#include <ctime>

/// How the kernel's scheduler treats the calling thread. Each affects the caller alone, but for the handler
/// of SIGURG, and needs no privilege. On a kernel that does not know it, nothing changes but that latencies
/// are longer.
namespace headgate {

/// For a thread that others wait for and that seldom works long: asks for the shortest time slice (0.1 ms).
/// When such a thread wakes, Linux lets it interrupt one whose slice is longer, instead of waiting for the
/// end of that slice. Its priority still decides its share of the processor. sched_setattr(2), Linux 6.12 and
/// later.
void take_short_time_slices();

/// For a thread whose work can wait: a low priority (nice 10) and a time slice that is longer than the
/// shortest.
void work_in_background();

/// Makes long computations give way. Between begin() and end() a timer interrupts the calling thread each
/// 0.4 ms with SIGURG, and the handler yields the processor if the thread has used it since its last yield.
/// The handler is the process'.
///
/// Without it, a thread that waits for this one's processor can wait for 4 ms. The scheduler decides anew
/// when a thread wakes or sleeps, and else only at its tick, 250 times a second on most systems; and a thread
/// that has just worked for long does not interrupt another one when it wakes.
///
/// One thread makes, uses and destroys it. Where the system has no timer left, the thread yields nothing.
class RegularYields {
 public:
  RegularYields();
  ~RegularYields();
  RegularYields(const RegularYields&) = delete;
  RegularYields& operator=(const RegularYields&) = delete;

  void begin();
  void end();

 private:
  void set(long interval_ns);

  timer_t timer_{};
  bool has_timer_ = false;
};

}  // namespace headgate
