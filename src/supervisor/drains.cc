#include "supervisor/drains.h"

#include <algorithm>
#include <atomic>
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

/// The share of a drain's time that is left.
double share(Duration left, Duration time) {
  if (left <= Duration::zero()) return 0;
  return static_cast<double>(left.count()) / static_cast<double>(time.count());
}

}  // namespace

/// What is left of each drain, by its number. Shared, as all that workers fill in, each on its own thread:
/// one that answers late finds it still there.
struct Drains::Progress {
  std::mutex mutex;
  Draining::Progress of;

  void add(const Draining::Progress& some) {
    const std::lock_guard lock(mutex);
    for (const auto& [drain, part] : some) {
      DrainProgress& sum = of[drain];
      sum.remaining += part.remaining;
      sum.oldest = std::max(sum.oldest, part.oldest);
      sum.bytes += part.bytes;
    }
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
  auto marked = std::make_shared<std::atomic<std::uint64_t>>(0);  // connections, by all workers
  const Workers::LongWork mark = [marked, scope, also, number = drain.number](Worker& worker,
                                                                              std::function<void()> done) {
    also(worker);
    worker.draining().begin(number, scope, [marked, done = std::move(done)](std::uint64_t count) {
      *marked += count;
      done();
    });
  };
  workers_.ask(mark, lifeline_.guard([this, marked, begun = std::move(begun), number = drain.number](
                                         Workers::Heard) { began(number, *marked, begun); }));
}

Drains::Drain* Drains::find(std::uint32_t number) {
  const auto found = std::ranges::find(drains_, number, &Drain::number);
  return found == drains_.end() ? nullptr : &*found;
}

void Drains::began(std::uint32_t number, std::uint64_t marked,
                   const std::function<void(const DrainReport&)>& begun) {
  Drain* drain = find(number);  // there: it cannot be over before
  drain->report.at_start = marked;
  drain->report.remaining = marked;
  drain->has_begun = true;
  begun(DrainReport(drain->report));
}

// A worker gets the drains as they are now: the next step handles those that begin meanwhile.
void Drains::step(std::function<void()> done) {
  if (std::exchange(stepping_, true)) return;
  const TimePoint now = Clock::now();
  auto progress = std::make_shared<Progress>();
  std::vector<DrainTarget> targets;
  for (const Drain& drain : drains_) {
    if (!drain.has_begun) continue;
    targets.push_back({drain.number, share(drain.deadline - now, drain.deadline - drain.began)});
  }
  const Workers::LongWork go_on = [progress, targets](Worker& worker, std::function<void()> answered) {
    const auto tell = [progress, answered = std::move(answered)](const Draining::Progress& of) {
      progress->add(of);
      answered();
    };
    worker.draining().go_on(targets, tell);
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
