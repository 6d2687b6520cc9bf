#pragma once

#include <concepts>

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
  /// The function to call, given as a type so that the watcher does not have to store it. It gets the things
  /// that the descriptor is ready for; kNone says that the kernel does not watch the descriptor (ENOMEM,
  /// ENOSPC), and that nothing more comes until the next watch().
  template <auto kCallback>
    requires std::invocable<decltype(kCallback), void*, Interest>
  struct Calls {};

  template <auto kCallback>
  IoWatcher(Loop& loop, void* owner, Calls<kCallback>)
      : IoWatcher(loop, owner, &IoWatcher::dispatch<kCallback>) {}
  ~IoWatcher();
  IoWatcher(const IoWatcher&) = delete;
  IoWatcher& operator=(const IoWatcher&) = delete;

  /// Sets the descriptor to watch, -1 for none. Watching is paused until the next watch().
  void attach(int fd);
  [[nodiscard]] int descriptor() const { return io_.fd; }
  /// Asks to be called when the descriptor is ready for `wanted`; kNone pauses. Stopping and starting again
  /// within one turn of the loop costs no system call.
  void watch(Interest wanted);

 private:
  using Dispatch = void (*)(struct ev_loop* loop, ev_io* io, int events);
  IoWatcher(Loop& loop, void* owner, Dispatch called);
  template <auto kCallback>
  static void dispatch(struct ev_loop*, ev_io* io, int events) {
    kCallback(io->data, ready_for(io, events));
  }
  static Interest ready_for(ev_io* io, int events);
  [[nodiscard]] Interest wanted() const;

  struct ev_loop* loop_;
  ev_io io_;  // its data is the owner
};

}  // namespace headgate
