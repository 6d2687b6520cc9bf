#include "event/signal_watcher.h"

#include <utility>

namespace headgate {

SignalWatcher::SignalWatcher(Loop& loop, int signal_number, std::function<void()> callback)
    : loop_(loop.raw()), callback_(std::move(callback)) {
  ev_signal_init(&signal_, &SignalWatcher::dispatch, signal_number);
  signal_.data = this;
  ev_signal_start(loop_, &signal_);
}

SignalWatcher::~SignalWatcher() {
  ev_signal_stop(loop_, &signal_);
}

void SignalWatcher::dispatch(struct ev_loop*, ev_signal* signal, int) {
  static_cast<SignalWatcher*>(signal->data)->callback_();
}

}  // namespace headgate
