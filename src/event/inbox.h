#pragma once

#include <functional>
#include <mutex>
#include <vector>

#include <ev.h>

#include "event/loop.h"

namespace headgate {

/// How work reaches a loop from another thread: messages are run on the loop's thread, in the order of
/// posting.
///
/// Made and destroyed by the loop's thread, or while it does not run; post() is for any thread.
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
