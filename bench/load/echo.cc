#include <algorithm>
#include <iostream>
#include <memory>
#include <vector>

#include "echoed.h"
#include "measure.h"
#include "modes.h"

namespace headgate::bench {
namespace {

class Echo {
 public:
  explicit Echo(const Options& options) : options_(options), target_(options) {
    for (std::size_t i = 0; i < options.connections; ++i)
      askers_.push_back({std::make_unique<Echoed>(poller_, target_), {}, false, false});
    await_established();
    for (const auto& each : askers_) each.connection->ask();  // opens the way to the backend; not measured
    await_rest();
  }

  /// Asks on each connection once each interval, for `seconds`.
  ///
  /// A question that was due before the answer to the one before it came counts from when it was due: a stall
  /// of the proxy meets all the questions that were due meanwhile, as if each had a connection of its own.
  void play(double seconds) {
    latencies_.clear();
    const TimePoint begin = Clock::now();
    const TimePoint end =
        begin + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
    for (std::size_t i = 0; i < askers_.size(); ++i) {
      askers_[i].due = begin + options_.interval * static_cast<long>(i) / static_cast<long>(askers_.size());
      askers_[i].overdue = false;
    }
    while (Clock::now() < end) turn(std::min(ask_what_is_due(), end));
    await_rest();
    for (Asker& each : askers_) hear(each);
    report();
  }

 private:
  struct Asker {
    std::unique_ptr<Echoed> connection;
    TimePoint due;
    bool asked;    ///< An answer is awaited.
    bool overdue;  ///< The question was due before it could be asked.
  };

  /// When the next question is due.
  TimePoint ask_what_is_due() {
    TimePoint next = TimePoint::max();
    for (Asker& each : askers_) {
      hear(each);
      if (each.asked) continue;
      if (each.due <= Clock::now()) {
        each.connection->ask();
        each.asked = true;
      } else {
        next = std::min(next, each.due);
      }
    }
    return next;
  }

  /// Notes an answer that has come.
  void hear(Asker& asker) {
    if (!asker.asked || !asker.connection->at_rest()) return;
    const TimePoint answered = asker.connection->answered();
    latencies_.push_back(answered - (asker.overdue ? asker.due : asker.connection->asked()));
    asker.due += options_.interval;
    asker.overdue = asker.due < answered;
    asker.asked = false;
  }

  [[nodiscard]] bool all_at_rest() const {
    return std::ranges::all_of(askers_, [](const Asker& each) { return each.connection->at_rest(); });
  }

  /// A proxy that is busy may refuse a connection before it is established: another is opened.
  void await_established() {
    const TimePoint latest = Clock::now() + std::chrono::seconds(30);
    while (!all_at_rest()) {
      if (Clock::now() > latest) give_up("not all connections are there after 30 s");
      poller_.turn(latest);
      for (Asker& each : askers_)
        if (each.connection->failed()) each.connection = std::make_unique<Echoed>(poller_, target_);
    }
  }

  void await_rest() {
    const TimePoint latest = Clock::now() + std::chrono::seconds(30);
    while (!all_at_rest()) {
      if (Clock::now() > latest) give_up("no answer in 30 s");
      turn(latest);
    }
  }

  void turn(TimePoint latest) {
    poller_.turn(latest);
    if (std::ranges::any_of(askers_, [](const Asker& each) { return each.connection->failed(); }))
      give_up("an established connection ended");
  }

  void report() {
    Report report;
    report.add("operations", static_cast<double>(latencies_.size()));
    if (!latencies_.empty()) {
      const auto longest = *std::ranges::max_element(latencies_);
      report.add("longest_ms", std::chrono::duration<double, std::milli>(longest).count());
    }
    report.add_latencies(latencies_);
    report.print();
  }

  const Options& options_;
  Poller poller_;
  Target target_;
  std::vector<Asker> askers_;
  std::vector<Clock::duration> latencies_;
};

}  // namespace

void run_echo(const Options& options) {
  Echo echo(options);
  for (double seconds = 0; std::cin >> seconds;) echo.play(seconds);
}

}  // namespace headgate::bench
