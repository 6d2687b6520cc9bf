#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <vector>

#include "base/result.h"
#include "event/inbox.h"
#include "event/timer.h"
#include "log/log.h"
#include "metrics/worker_metrics.h"
#include "supervisor/errand.h"
#include "supervisor/lifeline.h"
#include "supervisor/requests.h"
#include "worker/worker.h"

namespace headgate {

/// The workers of the process: those that serve, and those that a reload has retired, which accept no more
/// and end with their last connection. Every question to a worker is posted, so the main thread never waits
/// for one, not even for one that hangs.
///
/// A closure that is posted to a worker gets the worker as an argument and owns all other objects that it
/// uses, because it may run late. It never outlives its worker, because it waits in the worker's own inbox.
///
/// Main thread, unless marked otherwise.
class Workers {
 public:
  using Work = std::function<void(Worker&)>;
  /// Work that may go on in later turns of the worker's loop; it calls `done`, on that thread, at its end.
  /// Where it drops `done` instead, the worker has not answered.
  using LongWork = std::function<void(Worker&, std::function<void()> done)>;
  /// Whether all of them have answered. One that hangs has not, nor one that ended meanwhile.
  enum class Heard { kAll, kSome };
  /// How long a caller waits for answers.
  static constexpr Duration kPatience = std::chrono::seconds(2);

  /// All outlive it; `loop` and `inbox` are the main thread's.
  Workers(Loop& loop, Inbox& inbox, Log& log, MetricsRegistry& registry);
  /// Ends all workers, with their connections, and waits for their end.
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  /// Makes workers until `count` serve. Errors: those of Worker::make() and Worker::start().
  [[nodiscard]] Result<void> grow(std::size_t count);
  /// Retires the workers beyond `count`. They accept the clients that wait at their sockets of `gone`, which
  /// no other worker gets.
  void shrink(std::size_t count, const std::vector<Worker::Place>& gone);
  /// Gives the log levels of single connections to all workers, and to those that are made from here on.
  void set_log_levels(std::vector<LogOverride> overrides);
  /// Starts the threads of all workers, and of those that are made from here on. Errors: those of
  /// Worker::start(); the process must end then.
  [[nodiscard]] Result<void> start();
  [[nodiscard]] bool are_started() const { return started_; }
  /// Looks for signs of life, and ends the retired workers that have no connection left. The main thread's
  /// loop calls it about twice a second; `now` shows that this loop turns.
  void tick(TimePoint now);

  [[nodiscard]] std::size_t size() const { return serving_.size(); }
  /// A worker that serves.
  [[nodiscard]] Worker& at(std::size_t index) { return *serving_[index]; }

  /// Runs `work` on the thread of each worker, retired ones too, and then `then` on the loop: when all have
  /// answered, or after kPatience.
  void ask(const Work& work, std::function<void(Heard heard)> then);
  void ask(const LongWork& work, std::function<void(Heard heard)> then);
  /// The same for another thread, which waits. Returns how many there are. Any thread but the main one.
  std::size_t ask_and_wait(const Work& work);
  /// Whether every loop has turned lately, the main thread's too; if not, the reason names one that has not.
  /// While the main thread's loop does not turn, it asks no worker for a sign of life: then that loop is the
  /// one named. Any thread.
  [[nodiscard]] Health loops_turn(TimePoint now) const;

 private:
  /// The answers to one question, counted on the workers' threads.
  struct Answers {
    std::atomic<std::size_t> worked{0};  // workers that have done the work
    std::atomic<std::size_t> open{0};    // workers that may still do it
  };
  class Answer;
  struct Question {
    std::shared_ptr<Answers> answers;
    std::size_t asked = 0;
    TimePoint until{};
    std::function<void(Heard)> then;
  };
  /// A worker that has no connection left, and the thread that waits for its end.
  struct Ending {
    std::shared_ptr<Worker> worker;
    std::unique_ptr<Errand> errand;
  };
  [[nodiscard]] std::vector<std::shared_ptr<Worker>> everyone() const;
  void settle();
  void end(std::shared_ptr<Worker> worker);

  Inbox& inbox_;
  Log& log_;
  MetricsRegistry& registry_;
  bool started_ = false;
  std::atomic<TimePoint> ticked_;           // the time of the last tick()
  std::atomic<TimePoint> regularly_since_;  // since when no two ticks were as far apart as a loop that hangs
  std::vector<LogOverride> log_levels_;
  std::list<Question> questions_;
  Timer patience_;
  mutable std::mutex mutex_;  // guards changes of the next two
  std::vector<std::shared_ptr<Worker>> serving_;
  std::vector<std::shared_ptr<Worker>> retired_;
  std::list<Ending> endings_;
  Lifeline lifeline_;
};

}  // namespace headgate
