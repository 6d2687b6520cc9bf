#include "event/turn_watcher.h"

namespace headgate {

TurnWatcher::TurnWatcher(Loop& loop, void* owner, Callback before_wait, Callback after_wait)
    : loop_(loop.raw()), owner_(owner), before_wait_(before_wait), after_wait_(after_wait) {
  ev_prepare_init(&prepare_, &TurnWatcher::before);
  ev_check_init(&check_, &TurnWatcher::after);
  ev_idle_init(&idle_, &TurnWatcher::idle);
  prepare_.data = check_.data = this;
  ev_set_priority(&check_, EV_MAXPRI);
  ev_prepare_start(loop_, &prepare_);
  ev_check_start(loop_, &check_);
}

TurnWatcher::~TurnWatcher() {
  ev_idle_stop(loop_, &idle_);
  ev_check_stop(loop_, &check_);
  ev_prepare_stop(loop_, &prepare_);
}

void TurnWatcher::stay_awake(bool awake) {
  if (awake) {
    ev_idle_start(loop_, &idle_);
  } else {
    ev_idle_stop(loop_, &idle_);
  }
}

void TurnWatcher::before(struct ev_loop*, ev_prepare* prepare, int) {
  auto* self = static_cast<TurnWatcher*>(prepare->data);
  self->before_wait_(self->owner_);
}

void TurnWatcher::after(struct ev_loop*, ev_check* check, int) {
  auto* self = static_cast<TurnWatcher*>(check->data);
  self->after_wait_(self->owner_);
}

void TurnWatcher::idle(struct ev_loop*, ev_idle*, int) {}

}  // namespace headgate
