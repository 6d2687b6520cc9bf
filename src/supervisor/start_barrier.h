#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>

#include "base/units.h"

namespace headgate {

/// Where the workers of a process that takes over wait, with everything built and not a byte moved, until it
/// is decided who serves.
class StartBarrier {
 public:
  enum class Verdict { kUndecided, kGo, kGiveUp };

  /// A worker has come this far: blocks until the verdict. Its thread.
  [[nodiscard]] Verdict wait_for_verdict();
  /// Whether `count` workers are here before `deadline`. Supervisor.
  [[nodiscard]] bool wait_for_workers(std::size_t count, TimePoint deadline);
  /// Lets all of them go on, now or when they come. Supervisor.
  void decide(Verdict verdict);

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t here_ = 0;                   // guarded by mutex_
  Verdict verdict_ = Verdict::kUndecided;  // guarded by mutex_
};

}  // namespace headgate
