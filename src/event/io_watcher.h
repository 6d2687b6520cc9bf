#pragma once

#include <ev.h>

#include "event/loop.h"

namespace headgate {

/// Watches one descriptor for one owner; stops watching when destroyed.
///
/// Neither copied nor moved: libev keeps the address of `io_` while it is active. Does not own the
/// descriptor, so a class declares what owns it first and its IoWatcher after it: members die in reverse
/// order, and watching ends before the descriptor is closed. Loop thread only.
class IoWatcher {
 public:
  using Callback = void (*)(void* owner, Interest ready);

  IoWatcher(Loop& loop, void* owner, Callback callback);
  ~IoWatcher();
  IoWatcher(const IoWatcher&) = delete;
  IoWatcher& operator=(const IoWatcher&) = delete;

  /// Names the descriptor that is watched from now on; watching is paused. -1: none.
  void attach(int fd);
  /// Asks to be called when the descriptor is ready for `wanted`; kNone pauses. What is stopped and started
  /// again within one turn of the loop costs no system call.
  void watch(Interest wanted);

 private:
  [[nodiscard]] Interest wanted() const;
  static void dispatch(struct ev_loop* loop, ev_io* io, int events);

  struct ev_loop* loop_;
  Callback callback_;
  ev_io io_;  // its data is the owner
};

}  // namespace headgate
