#pragma once

#include <ev.h>

#include "event/loop.h"

namespace headgate {

/// Calls its owner once when a deadline has passed.
///
/// Re-armed lazily: moving the deadline further away costs nothing, since a timer that fires early looks at
/// the real deadline and sleeps on. Neither copied nor moved. Loop thread only.
class Timer {
 public:
  using Callback = void (*)(void* owner);

  Timer(Loop& loop, void* owner, Callback callback);
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  /// Fires once at `deadline`, in place of any deadline before; TimePoint::max() means never.
  void set(TimePoint deadline);
  void stop();

 private:
  static void dispatch(struct ev_loop* loop, ev_timer* timer, int events);
  void sleep_until(TimePoint wake);

  struct ev_loop* loop_;
  Callback callback_;
  TimePoint deadline_ = TimePoint::max();
  TimePoint wake_ = TimePoint::max();  // when libev fires; never later than deadline_
  ev_timer timer_;                     // its data is the owner
};

}  // namespace headgate
