#pragma once

#include <ev.h>

#include "event/loop.h"

namespace headgate {

/// Calls its owner around each turn of the loop: `before_wait` when all that was ready has been served, right
/// before the loop sleeps; `after_wait` when it wakes, before anything is served. Loop thread only.
class TurnWatcher {
 public:
  using Callback = void (*)(void* owner);

  TurnWatcher(Loop& loop, void* owner, Callback before_wait, Callback after_wait);
  ~TurnWatcher();
  TurnWatcher(const TurnWatcher&) = delete;
  TurnWatcher& operator=(const TurnWatcher&) = delete;

  /// While `awake`, the loop looks at what is ready but does not sleep, because there is work left that no
  /// descriptor announces.
  void stay_awake(bool awake);

 private:
  static void before(struct ev_loop* loop, ev_prepare* prepare, int events);
  static void after(struct ev_loop* loop, ev_check* check, int events);
  static void idle(struct ev_loop* loop, ev_idle* idle, int events);

  struct ev_loop* loop_;
  void* owner_;
  Callback before_wait_, after_wait_;
  ev_prepare prepare_;
  ev_check check_;
  ev_idle idle_;
};

}  // namespace headgate
