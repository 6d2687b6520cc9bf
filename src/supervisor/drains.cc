#include "supervisor/drains.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace headgate {
namespace {

std::string name_of(const DrainScope& scope) {
  if (!scope.listener.empty()) return "listener " + scope.listener;
  if (!scope.backend.empty()) return "backend " + scope.backend;
  if (!scope.peer.empty()) return "peer " + scope.peer;
  return "process";
}

/// How many of `at_start` connections may be left when `left` of `time` is left.
std::uint64_t share(std::uint64_t at_start, Duration left, Duration time) {
  if (left <= Duration::zero()) return 0;
  const double part = static_cast<double>(left.count()) / static_cast<double>(time.count());
  return static_cast<std::uint64_t>(static_cast<double>(at_start) * part + 0.5);
}

}  // namespace

/// The connections that workers have marked. Shared between the workers, which fill it in on their own
/// threads: one that answers late still finds it.
struct Drains::Counted {
  std::mutex mutex;
  std::map<int, std::uint64_t> by_worker;
};

/// The remaining connections of each drain, by its number.
struct Drains::Progress {
  std::mutex mutex;
  std::map<std::uint32_t, DrainProgress> of;

  void add(std::uint32_t drain, const DrainProgress& some) {
    const std::lock_guard lock(mutex);
    DrainProgress& sum = of[drain];
    sum.remaining += some.remaining;
    sum.oldest = std::max(sum.oldest, some.oldest);
    sum.bytes += some.bytes;
  }
};

void Drains::begin(const DrainScope& scope, Duration time, const Workers::Work& also,
                   std::function<void(const DrainReport&)> begun) {
  Drain& drain = drains_.emplace_back();
  drain.number = ++last_;
  drain.began = Clock::now();
  drain.deadline = drain.began + time;
  drain.report.what = name_of(scope);
  drain.report.started = std::chrono::system_clock::now();
  drain.report.deadline = drain.report.started + std::chrono::duration_cast<WallTime::duration>(time);
  auto counted = std::make_shared<Counted>();
  const auto mark = [counted, scope, also, number = drain.number](Worker& worker) {
    also(worker);
    const std::uint64_t count = begin_drain(worker, number, scope);
    const std::lock_guard lock(counted->mutex);
    counted->by_worker[worker.index()] = count;
  };
  workers_.ask(mark, lifeline_.guard([this, counted, begun = std::move(begun), number = drain.number](
                                         Workers::Heard) { began(number, *counted, begun); }));
}

Drains::Drain* Drains::find(std::uint32_t number) {
  const auto found = std::ranges::find(drains_, number, &Drain::number);
  return found == drains_.end() ? nullptr : &*found;
}

void Drains::began(std::uint32_t number, Counted& counted,
                   const std::function<void(const DrainReport&)>& begun) {
  Drain* drain = find(number);  // found: the drain cannot be over before
  {
    const std::lock_guard lock(counted.mutex);
    drain->at_start = counted.by_worker;
  }
  for (const auto& [worker, count] : drain->at_start) drain->report.at_start += count;
  drain->report.remaining = drain->report.at_start;
  drain->has_begun = true;
  begun(DrainReport(drain->report));
}

// A worker gets the drains as they are now: the next step handles those that begin meanwhile.
void Drains::step(std::function<void()> done) {
  if (std::exchange(stepping_, true)) return;
  const TimePoint now = Clock::now();
  auto progress = std::make_shared<Progress>();
  const auto go_on = [progress, now, drains = drains_](Worker& worker) {
    for (const Drain& drain : drains) {
      if (!drain.has_begun) continue;
      if (now >= drain.deadline) finish_drain(worker, drain.number);
      const auto at_start = drain.at_start.find(worker.index());
      const std::uint64_t count = at_start == drain.at_start.end() ? 0 : at_start->second;
      const std::uint64_t keep = share(count, drain.deadline - now, drain.deadline - drain.began);
      progress->add(drain.number, continue_drain(worker, drain.number, keep));
    }
  };
  workers_.ask(go_on, lifeline_.guard([this, progress, done = std::move(done)](Workers::Heard heard) {
    stepped(*progress, heard);
    done();
  }));
}

// A worker that has not answered in time may have some connections left.
void Drains::stepped(Progress& progress, Workers::Heard heard) {
  stepping_ = false;
  const std::lock_guard lock(progress.mutex);
  for (const auto& [number, left] : progress.of) {
    Drain* drain = find(number);
    bytes_ += left.bytes;
    drain->report.bytes += left.bytes;
    drain->report.remaining = left.remaining;
    drain->report.oldest = std::chrono::duration_cast<std::chrono::milliseconds>(left.oldest);
  }
  if (heard == Workers::Heard::kSome) return;
  std::erase_if(drains_, [&](const Drain& drain) {
    return progress.of.contains(drain.number) && drain.report.remaining == 0;
  });
}

std::vector<DrainReport> Drains::reports() const {
  std::vector<DrainReport> all;
  for (const Drain& drain : drains_) all.push_back(drain.report);
  return all;
}

}  // namespace headgate
