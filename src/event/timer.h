#pragma once

#include <concepts>

#include <ev.h>

#include "event/loop.h"

namespace headgate {

/// Calls its owner once when a deadline has passed.
///
/// Re-armed lazily: moving the deadline further away costs nothing, since a timer that fires early looks at
/// the real deadline and sleeps on. Neither copied nor moved. Loop thread only.
class Timer {
 public:
  /// The function to call, given as a type so that the timer does not have to store it.
  template <auto kCallback>
    requires std::invocable<decltype(kCallback), void*>
  struct Calls {};

  template <auto kCallback>
  Timer(Loop& loop, void* owner, Calls<kCallback>) : Timer(loop, owner, &Timer::dispatch<kCallback>) {}
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  /// Fires once at `deadline`, in place of any deadline before; TimePoint::max() means never.
  void set(TimePoint deadline);
  void stop();

 private:
  using Dispatch = void (*)(struct ev_loop* loop, ev_timer* timer, int events);
  Timer(Loop& loop, void* owner, Dispatch called);
  template <auto kCallback>
  static void dispatch(struct ev_loop*, ev_timer* timer, int) {
    if (is_over(timer)) kCallback(timer->data);
  }
  static bool is_over(ev_timer* timer);
  void sleep_until(TimePoint wake);

  struct ev_loop* loop_;
  TimePoint deadline_ = TimePoint::max();
  TimePoint wake_ = TimePoint::max();  // when libev fires; never later than deadline_
  ev_timer timer_;                     // its data is the owner
};

}  // namespace headgate
