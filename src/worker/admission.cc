#include "worker/admission.h"

#include "connection/connection.h"

namespace headgate {

void Admission::Queue::push(Turn& turn) {
  turn.before = newest;
  turn.behind = nullptr;
  (newest != nullptr ? newest->behind : oldest) = &turn;
  newest = &turn;
}

void Admission::Queue::remove(Turn& turn) {
  (turn.before != nullptr ? turn.before->behind : oldest) = turn.behind;
  (turn.behind != nullptr ? turn.behind->before : newest) = turn.before;
  turn.before = turn.behind = nullptr;
}

void Admission::request(Turn& turn) {
  turn.asked = Clock::now();
  turn.queued = true;
  queue_of(turn).push(turn);
  metrics_.handshakes_queued.add();
}

void Admission::withdraw(Turn& turn) {
  if (turn.queued) take_out(turn);
}

void Admission::begin(Connection& connection, std::uint32_t most) {
  if (in_progress_.size() >= most) in_progress_.begin()->second->end(CloseReason::kHandshakeShed);
  in_progress_.emplace(connection.info().id, &connection);
  metrics_.handshakes_in_progress.add();
}

void Admission::over(Connection& connection) {
  in_progress_.erase(connection.info().id);
  metrics_.handshakes_in_progress.sub();
}

bool Admission::serve() {
  if (on_loop_.empty() && beside_.empty()) return false;
  TimePoint now = Clock::now();
  for (Queue* queue : {&on_loop_.resumed, &on_loop_.full, &beside_.resumed, &beside_.full})
    drop_stale(*queue, now);
  while (!beside_.empty() && slow_lane_.has_room()) grant_next(beside_, now);
  const TimePoint end = now + kSlice;
  while (!on_loop_.empty() && now < end) {
    grant_next(on_loop_, now);
    now = Clock::now();
  }
  return !on_loop_.empty();
}

Admission::Queue& Admission::queue_of(const Turn& turn) {
  Lane& lane = turn.beside_the_loop ? beside_ : on_loop_;
  return turn.work == Work::kResumed ? lane.resumed : lane.full;
}

void Admission::drop_stale(Queue& queue, TimePoint now) {
  while (!queue.empty() && queue.oldest->asked + kStale < now) {
    Turn& turn = *queue.oldest;
    take_out(turn);
    turn.owner->turn_refused();
  }
}

void Admission::grant_next(Lane& lane, TimePoint now) {
  Queue& queue = lane.resumed.empty() ? lane.full : lane.resumed;
  const bool overdue = queue.oldest->asked + kPatience < now;
  Turn& turn = overdue ? *queue.newest : *queue.oldest;
  take_out(turn);
  turn.granted = true;
  turn.owner->turn_granted();
}

void Admission::take_out(Turn& turn) {
  queue_of(turn).remove(turn);
  turn.queued = false;
  metrics_.handshakes_queued.sub();
}

}  // namespace headgate
