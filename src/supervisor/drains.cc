#include "supervisor/drains.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>

namespace headgate {
namespace {

std::string name_of(const DrainScope& scope) {
  if (!scope.listener.empty()) return "listener " + scope.listener;
  if (!scope.backend.empty()) return "backend " + scope.backend;
  if (!scope.peer.empty()) return "peer " + scope.peer;
  return "process";
}

/// How many of `at_start` may be left when `left` of `time` is.
std::uint64_t share(std::uint64_t at_start, Duration left, Duration time) {
  if (left <= Duration::zero()) return 0;
  const double part = static_cast<double>(left.count()) / static_cast<double>(time.count());
  return static_cast<std::uint64_t>(static_cast<double>(at_start) * part + 0.5);
}

}  // namespace

/// What workers answer, each from its own thread. Shared: one that answers late finds it still there.
struct Drains::Answers {
  std::mutex mutex;
  std::size_t count = 0;
  std::map<int, std::uint64_t> at_start;
  DrainProgress progress;

  void add(const DrainProgress& some) {
    const std::lock_guard lock(mutex);
    ++count;
    progress.remaining += some.remaining;
    progress.oldest = std::max(progress.oldest, some.oldest);
    progress.bytes += some.bytes;
  }
};

const DrainReport& Drains::begin(const DrainScope& scope, Duration time,
                                 const std::function<void(Worker&)>& also) {
  Drain& drain = drains_.emplace_back();
  drain.number = ++last_;
  auto answers = std::make_shared<Answers>();
  ask_workers_([answers, scope, also, number = drain.number](Worker& worker) {
    also(worker);
    const std::uint64_t count = begin_drain(worker, number, scope);
    const std::lock_guard lock(answers->mutex);
    answers->at_start[worker.index()] = count;
  });
  const std::lock_guard lock(answers->mutex);
  drain.at_start = answers->at_start;
  drain.began = Clock::now();
  drain.deadline = drain.began + time;
  drain.report.what = name_of(scope);
  drain.report.started = std::chrono::system_clock::now();
  drain.report.deadline = drain.report.started + std::chrono::duration_cast<WallTime::duration>(time);
  for (const auto& [worker, count] : drain.at_start) drain.report.at_start += count;
  drain.report.remaining = drain.report.at_start;
  return drain.report;
}

void Drains::step() {
  std::erase_if(drains_, [this](Drain& drain) { return step_is_last(drain); });
}

// A worker that does not answer in time may have some left.
bool Drains::step_is_last(Drain& drain) {
  const TimePoint now = Clock::now();
  auto answers = std::make_shared<Answers>();
  const std::size_t workers = ask_workers_([answers, now, drain](Worker& worker) {
    if (now >= drain.deadline) finish_drain(worker, drain.number);
    const auto at_start = drain.at_start.find(worker.index());
    const std::uint64_t count = at_start == drain.at_start.end() ? 0 : at_start->second;
    const std::uint64_t keep = share(count, drain.deadline - now, drain.deadline - drain.began);
    answers->add(continue_drain(worker, drain.number, keep));
  });
  const std::lock_guard lock(answers->mutex);
  bytes_ += answers->progress.bytes;
  drain.report.bytes += answers->progress.bytes;
  drain.report.remaining = answers->progress.remaining;
  drain.report.oldest = std::chrono::duration_cast<std::chrono::milliseconds>(answers->progress.oldest);
  return answers->count == workers && drain.report.remaining == 0;
}

std::vector<DrainReport> Drains::reports() const {
  std::vector<DrainReport> all;
  for (const Drain& drain : drains_) all.push_back(drain.report);
  return all;
}

}  // namespace headgate
