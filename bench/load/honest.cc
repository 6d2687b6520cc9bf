#include <algorithm>

#include "measure.h"
#include "modes.h"
#include "visit.h"

namespace headgate::bench {
namespace {

/// How long after the last arrival answers are awaited, so that the time of a late one is known.
constexpr auto kWaitForLate = std::chrono::seconds(3);

class Honest {
 public:
  explicit Honest(const Options& options)
      : options_(options),
        target_(options),
        visits_(poller_, target_, [this](const Visit& visit, Visit::Outcome) { note(visit); }) {}

  void run() {
    TimePoint next = Clock::now();
    for (long begun = 0; begun < options_.count;) {
      for (; begun < options_.count && next <= Clock::now(); next += options_.interval, ++begun)
        visits_.begin();
      poller_.turn(next);
    }
    const TimePoint end = Clock::now() + kWaitForLate;
    while (visits_.size() > 0 && Clock::now() < end) poller_.turn(end);
    visits_.each([this](const Visit& visit) { note(visit); });
    report();
  }

 private:
  /// A client that was turned away, or not answered at all, counts as one that has waited the longest.
  void note(const Visit& visit) {
    const bool answered = visit.answered() != TimePoint{};
    const auto took = answered ? visit.answered() - visit.born() : longest_wait();
    in_time_ += took <= options_.patience ? 1 : 0;
    answered_ += answered ? 1 : 0;
    latencies_.push_back(took);
  }

  [[nodiscard]] Clock::duration longest_wait() const {
    return options_.count * options_.interval + kWaitForLate;
  }

  void report() {
    Report report;
    report.add("offered", static_cast<double>(options_.count));
    report.add("operations", static_cast<double>(in_time_));
    report.add("answered", static_cast<double>(answered_));
    report.add_latencies(std::move(latencies_));
    report.print();
  }

  const Options& options_;
  Poller poller_;
  Target target_;
  long in_time_ = 0, answered_ = 0;
  std::vector<Clock::duration> latencies_;
  Visits visits_;
};

}  // namespace

void run_honest(const Options& options) {
  Honest(options).run();
}

}  // namespace headgate::bench
