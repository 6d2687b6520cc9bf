#include <algorithm>
#include <memory>
#include <vector>

#include "echoed.h"
#include "measure.h"
#include "modes.h"

namespace headgate::bench {
namespace {

class PingPong {
 public:
  explicit PingPong(const Options& options) : options_(options), target_(options) {}

  void run() {
    for (std::size_t i = 0; i < options_.connections; ++i) {
      connections_.push_back(std::make_unique<Echoed>(poller_, target_));
      if (connections_.size() % kOpenedAtOnce == 0) await_rest();
    }
    ask_all_once();
    Measure measure(options_.pids);
    measure.begin();
    play();
    measure.end();
    Report report;
    report.add("operations", static_cast<double>(latencies_.size()));
    report.add(measure);
    report.add_latencies(std::move(latencies_));
    report.print();
  }

 private:
  /// The first round trip opens the way to the backend; it is not measured.
  void ask_all_once() {
    await_rest();
    for (const auto& each : connections_) each->ask();
    await_rest();
  }

  void await_rest() {
    turn_until(
        [&] { return std::ranges::all_of(connections_, [](const auto& each) { return each->at_rest(); }); });
  }

  template <class Condition>
  void turn_until(Condition condition) {
    const TimePoint latest = Clock::now() + std::chrono::seconds(30);
    while (!condition()) {
      if (Clock::now() > latest) give_up("the connections are not there after 30 s");
      turn(latest);
    }
  }

  void turn(TimePoint latest) {
    poller_.turn(latest);
    if (std::ranges::any_of(connections_, [](const auto& each) { return each->failed(); })) {
      give_up("a connection ended");
    }
  }

  /// Each connection asks again `interval` after its last question, at once where there is none.
  void play() {
    const auto count = static_cast<std::size_t>(options_.count);
    const auto length = std::chrono::duration<double>(options_.seconds > 0 ? options_.seconds : 60);
    const TimePoint end = Clock::now() + std::chrono::duration_cast<Clock::duration>(length);
    std::vector<bool> awaited(connections_.size());
    while (Clock::now() < end && (options_.seconds > 0 || latencies_.size() < count)) {
      TimePoint next = end;
      for (std::size_t i = 0; i < connections_.size(); ++i) {
        Echoed& each = *connections_[i];
        if (!each.at_rest()) continue;
        if (awaited[i]) latencies_.push_back(each.answered() - each.asked());
        awaited[i] = each.asked() + options_.interval <= Clock::now();
        if (awaited[i]) {
          each.ask();
        } else {
          next = std::min(next, each.asked() + options_.interval);
        }
      }
      turn(next);
    }
  }

  const Options& options_;
  Poller poller_;
  Target target_;
  std::vector<std::unique_ptr<Echoed>> connections_;
  std::vector<Clock::duration> latencies_;
};

}  // namespace

void run_ping_pong(const Options& options) {
  PingPong(options).run();
}

}  // namespace headgate::bench
