#include "worker/spare.h"

#include <array>
#include <utility>

#include "base/out_of_memory.h"
#include "worker/spare_pool.h"

namespace headgate {

Spare::Spare(Loop& loop, SparePool& pool, const SpareChoice& choice, std::unique_ptr<Stream> stream,
             Duration oldest, TimePoint now)
    : pool_(pool),
      to_(choice),
      oldest_(oldest),
      since_(now),
      stream_(std::move(stream)),
      watcher_(loop, this, IoWatcher::Calls<&Spare::on_event>()) {
  watcher_.attach(stream_->descriptor());
  watcher_.watch(Interest::kWrite);
}

// The last thing that it does: the pool may destroy it.
void Spare::on_event(void* self, Interest ready) {
  auto* spare = static_cast<Spare*>(self);
  if (ready == Interest::kNone) spare->condition_ = Condition::kFailed;  // the kernel does not watch it
  static_cast<void>(done_unless_out_of_memory([spare] { spare->pool_.look_at(*spare); }));
}

void Spare::enter(Condition condition, TimePoint now) {
  condition_ = condition;
  since_ = now;
}

Spare::Condition Spare::look(TimePoint now) {
  if (condition_ == Condition::kEnded || condition_ == Condition::kFailed) return condition_;
  if (condition_ == Condition::kConnecting) {
    const IoStatus status = stream_->handshake();
    if (status == IoStatus::kWantRead || status == IoStatus::kWantWrite) return condition_;
    enter(status == IoStatus::kDone ? Condition::kReady : Condition::kFailed, now);
    established_ = now;
    watcher_.watch(Interest::kRead);
    return condition_;
  }
  // What the server says is read only to find the end behind it.
  std::array<std::byte, 512> room;
  const ReadResult got = stream_->read(room);
  if (got.status == IoStatus::kEnded || got.status == IoStatus::kFailed) {
    enter(Condition::kEnded, now);
  } else if (got.status == IoStatus::kDone && !std::exchange(heard_, true)) {
    enter(Condition::kSpoken, now);
  }
  return condition_;
}

std::unique_ptr<Stream> Spare::release() {
  watcher_.attach(-1);
  return std::move(stream_);
}

}  // namespace headgate
