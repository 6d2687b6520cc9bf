#pragma once

#include <functional>

#include <ev.h>

#include "event/loop.h"

namespace headgate {

/// Calls `callback` on the loop's thread after the process received `signal_number`. One per signal and
/// process.
class SignalWatcher {
 public:
  SignalWatcher(Loop& loop, int signal_number, std::function<void()> callback);
  ~SignalWatcher();
  SignalWatcher(const SignalWatcher&) = delete;
  SignalWatcher& operator=(const SignalWatcher&) = delete;

 private:
  static void dispatch(struct ev_loop* loop, ev_signal* signal, int events);

  struct ev_loop* loop_;
  std::function<void()> callback_;
  ev_signal signal_;
};

}  // namespace headgate
