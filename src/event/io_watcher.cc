#include "event/io_watcher.h"

namespace headgate {

static_assert(static_cast<int>(Interest::kRead) == EV_READ && static_cast<int>(Interest::kWrite) == EV_WRITE);

IoWatcher::IoWatcher(Loop& loop, void* owner, Dispatch called) : loop_(loop.raw()) {
  ev_io_init(&io_, called, -1, EV_NONE);
  io_.data = owner;
}

IoWatcher::~IoWatcher() {
  ev_io_stop(loop_, &io_);
}

void IoWatcher::attach(int fd) {
  ev_io_stop(loop_, &io_);
  // Marks the descriptor as new to libev: its number may have been another connection's a moment ago.
  ev_io_set(&io_, fd, EV_NONE);
}

void IoWatcher::watch(Interest wanted) {
  if (wanted == this->wanted()) return;
  ev_io_stop(loop_, &io_);
  if (wanted == Interest::kNone) return;
  // What ev_io_modify() does: ev_io_set() would force an epoll_ctl() each time.
  io_.events = (io_.events & EV__IOFDSET) | static_cast<int>(wanted);
  ev_io_start(loop_, &io_);
}

Interest IoWatcher::wanted() const {
  return ev_is_active(&io_) ? static_cast<Interest>(io_.events & (EV_READ | EV_WRITE)) : Interest::kNone;
}

}  // namespace headgate
