#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>

#include "base/units.h"

namespace headgate {

/// The workers of a process that takes over wait here, when they have built every connection and moved no
/// byte, until the supervisor decides which process serves.
class StartBarrier {
 public:
  enum class Verdict { kUndecided, kGo, kGiveUp };

  /// Says that a worker has come this far, and blocks until the verdict. The worker's thread.
  [[nodiscard]] Verdict wait_for_verdict();
  /// Returns whether `count` workers are here before `deadline`. Supervisor.
  [[nodiscard]] bool wait_for_workers(std::size_t count, TimePoint deadline);
  /// Lets all workers go on, now or when they come. Supervisor.
  void decide(Verdict verdict);

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t here_ = 0;                   // guarded by mutex_
  Verdict verdict_ = Verdict::kUndecided;  // guarded by mutex_
};

}  // namespace headgate
