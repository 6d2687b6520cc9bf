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
  // libev has stopped it for an error, and is about to call dispatch(): stopping it again would drop that
  // call.
  if (ev_is_pending(&io_) && !ev_is_active(&io_)) return;
  ev_io_stop(loop_, &io_);
  if (wanted == Interest::kNone) return;
  // What ev_io_modify() does: ev_io_set() would force an epoll_ctl() each time.
  io_.events = (io_.events & EV__IOFDSET) | static_cast<int>(wanted);
  ev_io_start(loop_, &io_);
}

// libev stops the watcher of a descriptor for which epoll_ctl() failed, and takes the descriptor for watched
// all the same: setting it anew makes the next watch() ask the kernel again.
Interest IoWatcher::ready_for(ev_io* io, int events) {
  if ((events & EV_ERROR) == 0) return static_cast<Interest>(events & (EV_READ | EV_WRITE));
  ev_io_set(io, io->fd, EV_NONE);
  return Interest::kNone;
}

Interest IoWatcher::wanted() const {
  return ev_is_active(&io_) ? static_cast<Interest>(io_.events & (EV_READ | EV_WRITE)) : Interest::kNone;
}

}  // namespace headgate
