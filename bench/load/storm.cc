#include <algorithm>

#include "measure.h"
#include "modes.h"
#include "visit.h"

namespace headgate::bench {
namespace {

/// More clients at once than this are not begun: descriptors would run out.
constexpr std::size_t kMostAtOnce = 8000;

class Storm {
 public:
  explicit Storm(const Options& options)
      : options_(options),
        target_(options),
        visits_(poller_, target_,
                [this](const Visit& visit, Visit::Outcome outcome) { note(visit, outcome); }) {}

  void run() {
    const auto length = std::chrono::duration<double>(options_.seconds);
    const auto gap =
        std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(1 / options_.rate));
    Measure measure(options_.pids);
    measure.begin();
    const TimePoint begin = Clock::now(), end = begin + std::chrono::duration_cast<Clock::duration>(length);
    for (TimePoint next = begin; Clock::now() < end;) {
      for (; next <= Clock::now(); next += gap) arrive();
      visits_.give_up_on(Clock::now() - options_.patience);
      poller_.turn(std::min(next, end));
    }
    measure.end();
    report(measure);
  }

 private:
  void arrive() {
    ++offered_;
    if (visits_.size() < kMostAtOnce) visits_.begin();
  }

  void note(const Visit& visit, Visit::Outcome outcome) {
    if (outcome == Visit::Outcome::kFailed) {
      ++failed_;
    } else if (visit.answered() - visit.born() <= options_.patience) {
      latencies_.push_back(visit.answered() - visit.born());
    }
  }

  void report(const Measure& measure) {
    Report report;
    report.add("offered", static_cast<double>(offered_));
    report.add("failures", static_cast<double>(failed_));
    report.add("operations", static_cast<double>(latencies_.size()));
    report.add(measure);
    report.add_latencies(std::move(latencies_));
    report.print();
  }

  const Options& options_;
  Poller poller_;
  Target target_;
  long offered_ = 0, failed_ = 0;
  std::vector<Clock::duration> latencies_;
  Visits visits_;
};

}  // namespace

void run_storm(const Options& options) {
  Storm(options).run();
}

}  // namespace headgate::bench
