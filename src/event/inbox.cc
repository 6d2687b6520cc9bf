#include "event/inbox.h"

#include <utility>

namespace headgate {

Inbox::Inbox(Loop& loop) : loop_(loop.raw()) {
  ev_async_init(&wake_, &Inbox::dispatch);
  wake_.data = this;
  ev_async_start(loop_, &wake_);
}

Inbox::~Inbox() {
  ev_async_stop(loop_, &wake_);
}

void Inbox::post(Message message) {
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(message));
  }
  ev_async_send(loop_, &wake_);
}

void Inbox::dispatch(struct ev_loop*, ev_async* async, int) {
  static_cast<Inbox*>(async->data)->deliver();
}

void Inbox::deliver() {
  std::vector<Message> messages;
  {
    const std::lock_guard lock(mutex_);
    messages.swap(waiting_);
  }
  for (auto& message : messages) message();
}

}  // namespace headgate
