#include "event/timer.h"

#include <algorithm>
#include <chrono>
#include <cstddef>

namespace headgate {

Timer::Timer(Loop& loop, void* owner, Dispatch called) : loop_(loop.raw()) {
  ev_timer_init(&timer_, called, 0., 0.);
  timer_.data = owner;
}

Timer::~Timer() {
  ev_timer_stop(loop_, &timer_);
}

void Timer::set(TimePoint deadline) {
  if (deadline == TimePoint::max()) return stop();
  deadline_ = deadline;
  if (wake_ > deadline) sleep_until(deadline);  // else it wakes early enough, and sleeps on then
}

void Timer::stop() {
  deadline_ = wake_ = TimePoint::max();
  ev_timer_stop(loop_, &timer_);
}

void Timer::sleep_until(TimePoint wake) {
  wake_ = wake;
  ev_timer_stop(loop_, &timer_);
  // libev counts from the start of the turn, so a timer may fire a little early: dispatch() sleeps on then.
  const std::chrono::duration<double> left = std::max(wake - Clock::now(), Duration::zero());
  ev_timer_set(&timer_, left.count(), 0.);
  ev_timer_start(loop_, &timer_);
}

// libev's timer has gone off: whether the deadline has passed. If it has not, it sleeps on.
bool Timer::is_over(ev_timer* timer) {
  // What libev holds is a member of its watcher.
  auto* self = reinterpret_cast<Timer*>(reinterpret_cast<char*>(timer) - offsetof(Timer, timer_));
  self->wake_ = TimePoint::max();
  if (self->deadline_ > Clock::now()) {
    self->sleep_until(self->deadline_);
    return false;
  }
  self->deadline_ = TimePoint::max();
  return true;
}

}  // namespace headgate
