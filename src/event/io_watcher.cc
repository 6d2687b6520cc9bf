#include "event/io_watcher.h"

namespace headgate {

static_assert(static_cast<int>(Interest::kRead) == EV_READ && static_cast<int>(Interest::kWrite) == EV_WRITE);

IoWatcher::IoWatcher(Loop& loop, void* owner, Callback callback)
    : loop_(loop.raw()), owner_(owner), callback_(callback) {
  ev_io_init(&io_, &IoWatcher::dispatch, -1, EV_NONE);
  io_.data = this;
}

IoWatcher::~IoWatcher() {
  ev_io_stop(loop_, &io_);
}

void IoWatcher::attach(int fd) {
  ev_io_stop(loop_, &io_);
  wanted_ = Interest::kNone;
  // Marks the descriptor as new to libev: its number may have been another connection's a moment ago.
  ev_io_set(&io_, fd, EV_NONE);
}

void IoWatcher::watch(Interest wanted) {
  if (wanted == wanted_) return;
  wanted_ = wanted;
  ev_io_stop(loop_, &io_);
  if (wanted == Interest::kNone) return;
  // What ev_io_modify() does: ev_io_set() would force an epoll_ctl() each time.
  io_.events = (io_.events & EV__IOFDSET) | static_cast<int>(wanted);
  ev_io_start(loop_, &io_);
}

void IoWatcher::dispatch(struct ev_loop*, ev_io* io, int events) {
  auto* self = static_cast<IoWatcher*>(io->data);
  self->callback_(self->owner_, static_cast<Interest>(events & (EV_READ | EV_WRITE)));
}

}  // namespace headgate
