#pragma once

#include <functional>
#include <mutex>
#include <vector>

#include <ev.h>

#include "event/loop.h"

namespace headgate {

/// Brings work from other threads to a loop, whose thread runs the messages in the order of posting.
///
/// The loop's thread makes and destroys it, or another thread while the loop does not run. Any thread may
/// call post().
class Inbox {
 public:
  using Message = std::function<void()>;

  explicit Inbox(Loop& loop);
  ~Inbox();
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;

  void post(Message message);

 private:
  static void dispatch(struct ev_loop* loop, ev_async* async, int events);
  void deliver();

  struct ev_loop* loop_;
  std::mutex mutex_;
  std::vector<Message> waiting_;  // guarded by mutex_
  ev_async wake_;
};

}  // namespace headgate
