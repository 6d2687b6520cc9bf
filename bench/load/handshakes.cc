#include <algorithm>

#include "measure.h"
#include "modes.h"
#include "visit.h"

namespace headgate::bench {
namespace {

/// Keeps so many visits under way until enough have been served or the time is up.
class HandshakeLoad {
 public:
  explicit HandshakeLoad(const Options& options)
      : options_(options),
        target_(options),
        visits_(poller_, target_,
                [this](const Visit& visit, Visit::Outcome outcome) { note(visit, outcome); }) {}

  void run() {
    serve(options_.warm, 0);
    served_ = failed_ = resumed_ = 0;
    latencies_.clear();
    target_.offer_sessions(options_.resume);
    Measure measure(options_.pids);
    measure.begin();
    serve(options_.count, options_.seconds);
    measure.end();
    report(measure);
  }

 private:
  void serve(long count, double seconds) {
    const bool timed = seconds > 0;
    const auto limit =
        std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(timed ? seconds : 60));
    const TimePoint end = Clock::now() + limit;
    const long before = served_ + failed_;
    const auto more = [&] {
      return timed || served_ + failed_ + static_cast<long>(visits_.size()) - before < count;
    };
    while (Clock::now() < end) {
      while (more() && visits_.size() < options_.connections) visits_.begin();
      if (visits_.size() == 0) return;
      poller_.turn(end);
    }
  }

  void note(const Visit& visit, Visit::Outcome outcome) {
    if (outcome == Visit::Outcome::kFailed) {
      ++failed_;
      return;
    }
    ++served_;
    resumed_ += visit.resumed() ? 1 : 0;
    latencies_.push_back(visit.answered() - visit.born());
  }

  void report(const Measure& measure) {
    Report report;
    report.add("operations", static_cast<double>(served_));
    report.add("failures", static_cast<double>(failed_));
    report.add("resumed", static_cast<double>(resumed_));
    report.add(measure);
    report.add_latencies(std::move(latencies_));
    report.print();
  }

  const Options& options_;
  Poller poller_;
  Target target_;
  long served_ = 0, failed_ = 0, resumed_ = 0;
  std::vector<Clock::duration> latencies_;
  Visits visits_;
};

}  // namespace

void run_handshakes(const Options& options) {
  HandshakeLoad(options).run();
}

}  // namespace headgate::bench
