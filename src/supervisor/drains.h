#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "base/units.h"
#include "metrics/process_state.h"
#include "supervisor/lifeline.h"
#include "supervisor/workers.h"
#include "worker/draining.h"

namespace headgate {

/// Runs the drains that are under way: of the process, of a listener, a backend or a peer.
///
/// A drain asks workers and never waits for them, so it goes on with the answers that it has.
///
/// A drain is about the connections that are open when it begins. It ends the quiet ones one after the other,
/// in proportion to its time (at half of its time, half of them are left); it cuts the connections that are
/// left at its deadline. Supervisor's thread.
class Drains {
 public:
  /// `workers` outlives it.
  explicit Drains(Workers& workers) : workers_(workers) {}

  /// Begins a drain that is over after `time`. `also` runs on each worker right before, so no connection
  /// comes between. `begun` is called on the loop when all workers have answered, or will not.
  void begin(const DrainScope& scope, Duration time, const Workers::Work& also,
             std::function<void(const DrainReport&)> begun);
  /// Takes the step that is due now, unless the step before is not answered yet. `done` is called on the loop
  /// with the answers, and drains without connections are over then.
  void step(std::function<void()> done);

  /// Whether no drain is under way. A drain counts from begin() on.
  [[nodiscard]] bool empty() const { return drains_.empty(); }
  /// The reports as of the last step, the oldest drain first.
  [[nodiscard]] std::vector<DrainReport> reports() const;
  /// Plaintext bytes that connections have moved while they drained, of all drains so far.
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

 private:
  struct Drain {
    std::uint32_t number = 0;
    TimePoint began{}, deadline{};
    bool has_begun = false;  // the workers have been heard
    DrainReport report{};
  };
  struct Progress;

  [[nodiscard]] Drain* find(std::uint32_t number);
  void began(std::uint32_t number, std::uint64_t marked,
             const std::function<void(const DrainReport&)>& begun);
  void stepped(Progress& progress, Workers::Heard heard);

  Workers& workers_;
  std::vector<Drain> drains_;
  bool stepping_ = false;
  std::uint32_t last_ = 0;
  std::uint64_t bytes_ = 0;
  Lifeline lifeline_;
};

}  // namespace headgate
