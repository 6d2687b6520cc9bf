#include <algorithm>
#include <map>
#include <memory>
#include <random>

#include "attacker.h"
#include "measure.h"
#include "modes.h"

namespace headgate::bench {
namespace {

/// With more than this at once the oldest leaves when a new one comes: descriptors would run out.
constexpr std::size_t kMostFloodingAtOnce = 8000;
/// Arrivals before answers are looked at. A rate that the machine cannot bring does not keep that from
/// happening.
constexpr std::size_t kMostInATurn = 64;

class Flood {
 public:
  explicit Flood(const Options& options)
      : options_(options), sources_(kFirstAttackerAddress, options.sources, options.share) {}

  void run() {
    const TimePoint begin = Clock::now();
    end_ =
        begin + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(options_.seconds));
    Measure measure(options_.pids);
    measure.begin();
    if (options_.rate > 0) {
      come_at_rate(begin);
    } else {
      keep_at_once();
    }
    measure.end();
    report(measure);
  }

 private:
  void come_at_rate(TimePoint begin) {
    const auto gap =
        std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(1 / options_.rate));
    for (TimePoint next = begin; Clock::now() < end_;) {
      for (std::size_t burst = 0; next <= Clock::now() && burst < kMostInATurn; next += gap, ++burst)
        arrive();
      leave_before(Clock::now() - options_.patience);
      poller_.turn(std::min(next, end_));
      let_go_together();
    }
  }

  void keep_at_once() {
    while (Clock::now() < end_) {
      while (attackers_.size() < options_.connections) arrive();
      poller_.turn(end_);
      let_go_together();
    }
  }

  void arrive() {
    ++offered_;
    if (attackers_.size() >= kMostFloodingAtOnce) leave_before(std::next(attackers_.begin())->first);
    TimePoint born = Clock::now();
    if (!attackers_.empty() && attackers_.rbegin()->first >= born)
      born = attackers_.rbegin()->first + Clock::duration(1);
    attackers_.emplace(born, std::make_unique<Attacker>(poller_, options_, sources_.next(),
                                                        ClientHello(options_, random_), born, over_));
  }

  void leave_before(TimePoint latest) {
    const auto end = attackers_.lower_bound(latest);
    left_ += std::distance(attackers_.begin(), end);
    attackers_.erase(attackers_.begin(), end);
  }

  /// Those that hold their second ClientHello back send it once there are enough of them.
  void let_go_together() {
    if (options_.together <= 1) return;
    const auto held = [](const auto& each) { return each.second->holds_back(); };
    if (static_cast<std::size_t>(std::ranges::count_if(attackers_, held)) < options_.together) return;
    for (auto& [born, attacker] : attackers_)
      if (attacker->holds_back()) attacker->go_on();
  }

  void report(const Measure& measure) {
    Report report;
    report.add("offered", static_cast<double>(offered_));
    report.add("operations", static_cast<double>(answered_));
    report.add("refused", static_cast<double>(refused_));
    report.add("left", static_cast<double>(left_));
    report.add(measure);
    report.print();
  }

  const Options& options_;
  std::mt19937_64 random_{std::random_device{}()};
  Sources sources_;
  Poller poller_;
  TimePoint end_{};
  long offered_ = 0, answered_ = 0, refused_ = 0, left_ = 0;
  const Attacker::Over over_ = [this](Attacker& attacker, Attacker::Outcome outcome) {
    ++(outcome == Attacker::Outcome::kAnswered ? answered_ : refused_);
    attackers_.erase(attacker.born());
  };
  std::map<TimePoint, std::unique_ptr<Attacker>> attackers_;  // by birth
};

}  // namespace

void run_flood(const Options& options) {
  Flood(options).run();
}

}  // namespace headgate::bench
