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
  if (wake_ > deadline) sleep_until(deadline);  // else libev wakes early enough, and is_over() sleeps on
}

void Timer::stop() {
  deadline_ = wake_ = TimePoint::max();
  ev_timer_stop(loop_, &timer_);
}

void Timer::sleep_until(TimePoint wake) {
  wake_ = wake;
  ev_timer_stop(loop_, &timer_);
  // libev counts from the start of the turn, so a timer may fire a little early: is_over() then sleeps on.
  const std::chrono::duration<double> left = std::max(wake - Clock::now(), Duration::zero());
  ev_timer_set(&timer_, left.count(), 0.);
  ev_timer_start(loop_, &timer_);
}

// Called when libev's timer has fired. Returns whether the deadline has passed; if not, the timer sleeps on.
bool Timer::is_over(ev_timer* timer) {
  // libev's timer is a member of the Timer.
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
