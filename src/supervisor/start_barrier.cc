#include "supervisor/start_barrier.h"

namespace headgate {

StartBarrier::Verdict StartBarrier::wait_for_verdict() {
  std::unique_lock lock(mutex_);
  ++here_;
  changed_.notify_all();
  changed_.wait(lock, [this] { return verdict_ != Verdict::kUndecided; });
  return verdict_;
}

bool StartBarrier::wait_for_workers(std::size_t count, TimePoint deadline) {
  std::unique_lock lock(mutex_);
  return changed_.wait_until(lock, deadline, [&] { return here_ >= count; });
}

void StartBarrier::decide(Verdict verdict) {
  const std::lock_guard lock(mutex_);
  verdict_ = verdict;
  changed_.notify_all();
}

}  // namespace headgate
