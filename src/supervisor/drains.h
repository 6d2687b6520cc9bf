#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "base/units.h"
#include "metrics/process_state.h"
#include "worker/draining.h"

namespace headgate {

/// The drains that are under way: of the process, of a listener, a backend or a peer.
///
/// A drain is about the connections that are open when it begins. Those that are quiet are ended one after
/// the other, so that the share of them that is left is the share of its time that is left; what is left at
/// its deadline is cut. Supervisor's thread.
class Drains {
 public:
  /// Runs the function on each worker's thread and waits for all for a while. Returns how many there are.
  using AskWorkers = std::function<std::size_t(const std::function<void(Worker&)>&)>;
  explicit Drains(AskWorkers ask_workers) : ask_workers_(std::move(ask_workers)) {}

  /// Begins one that is over after `time`. `also` runs on each worker right before, so no connection comes
  /// between.
  const DrainReport& begin(const DrainScope& scope, Duration time, const std::function<void(Worker&)>& also);
  /// Does what is due now. Drains of which nothing is left are over.
  void step();

  [[nodiscard]] bool empty() const { return drains_.empty(); }
  /// As of the last step, the oldest drain first.
  [[nodiscard]] std::vector<DrainReport> reports() const;
  /// Plaintext bytes that connections have moved while they drained, of all drains so far.
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

 private:
  struct Drain {
    std::uint32_t number = 0;
    TimePoint began{}, deadline{};
    std::map<int, std::uint64_t> at_start{};  // connections by worker
    DrainReport report{};
  };
  struct Answers;

  [[nodiscard]] bool step_is_last(Drain& drain);

  AskWorkers ask_workers_;
  std::vector<Drain> drains_;
  std::uint32_t last_ = 0;
  std::uint64_t bytes_ = 0;
};

}  // namespace headgate
