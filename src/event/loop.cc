#include "event/loop.h"

#include <ev.h>

#include "base/check.h"

namespace headgate {

Loop::Loop() : loop_(ev_loop_new(0U + EVBACKEND_EPOLL + EVFLAG_NOENV)) {
  HG_CHECK(loop_ != nullptr);
}

Loop::~Loop() {
  ev_loop_destroy(loop_);
}

void Loop::run() {
  ev_run(loop_, 0);
}

void Loop::run_once() {
  ev_run(loop_, EVRUN_NOWAIT);
}

void Loop::stop() {
  ev_break(loop_, EVBREAK_ALL);
}

}  // namespace headgate
