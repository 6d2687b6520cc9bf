#include "backend/place_queue.h"

#include <utility>

#include "base/out_of_memory.h"

namespace headgate {

std::unique_ptr<PlaceQueue::Position> PlaceQueue::join(const BackendGroup& line, std::size_t most,
                                                       Wake wake) {
  std::unique_ptr<Position> position(new Position(*this, line, std::move(wake)));
  Line alone{position.get()};
  const std::lock_guard lock(mutex_);
  const auto known = lines_.find(&line);
  std::size_t waiting = known == lines_.end() ? 0 : known->second.size();
  // It may have taken its place, which is not among the free ones then.
  if (waiting > 0 && known->second.front()->tries_) --waiting;
  if (waiting >= most) return nullptr;
  Line& others = lines_[&line];
  position->at_ = alone.begin();
  others.splice(others.end(), alone);
  // A place that is given back after the caller has looked for one is told to a queue that counts this one.
  waiting_.fetch_add(1, std::memory_order_seq_cst);
  return position;
}

// The first one may leave without having used the place for which it was woken.
PlaceQueue::Position::~Position() {
  if (!at_) return;
  const std::lock_guard lock(queue_.mutex_);
  const auto line = queue_.lines_.find(&line_);
  const bool was_first = *at_ == line->second.begin();
  line->second.erase(*at_);
  queue_.waiting_.fetch_sub(1, std::memory_order_relaxed);
  if (line->second.empty()) {
    queue_.lines_.erase(line);
  } else if (was_first) {
    static_cast<void>(done_unless_out_of_memory([&] { line->second.front()->wake_(); }));
  }
}

bool PlaceQueue::Position::may_try() {
  const std::lock_guard lock(queue_.mutex_);
  tries_ = queue_.lines_.find(&line_)->second.front() == this;
  return tries_;
}

void PlaceQueue::Position::stays() {
  const std::lock_guard lock(queue_.mutex_);
  tries_ = false;
}

bool PlaceQueue::has_waiting(const BackendGroup& line) const {
  if (waiting_.load(std::memory_order_relaxed) == 0) return false;
  const std::lock_guard lock(mutex_);
  return lines_.contains(&line);
}

// Without memory for the message the connection waits for the next free place, or for its timeout.
void PlaceQueue::place_may_be_free() {
  if (waiting_.load(std::memory_order_seq_cst) == 0) return;
  const std::lock_guard lock(mutex_);
  for (const auto& [group, line] : lines_) {
    static_cast<void>(done_unless_out_of_memory([&] { line.front()->wake_(); }));
  }
}

std::unique_ptr<PlaceQueue::SpareHolder> PlaceQueue::add_spare_holder(Wake asked) {
  std::unique_ptr<SpareHolder> holder(new SpareHolder(*this, std::move(asked)));
  const std::lock_guard lock(mutex_);
  spare_holders_.reserve(spare_holders_.size() + 1);
  spare_holders_.push_back(holder.get());
  return holder;
}

PlaceQueue::SpareHolder::~SpareHolder() {
  const std::lock_guard lock(queue_.mutex_);
  std::erase(queue_.spare_holders_, this);
}

void PlaceQueue::ask_for_places_of_spares() {
  const std::lock_guard lock(mutex_);
  for (const SpareHolder* holder : spare_holders_)
    static_cast<void>(done_unless_out_of_memory([&] { holder->asked_(); }));
}

}  // namespace headgate
