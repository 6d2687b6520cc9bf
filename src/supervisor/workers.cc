#include "supervisor/workers.h"

#include <algorithm>
#include <future>
#include <iterator>
#include <string>
#include <utility>

namespace headgate {
namespace {

/// A loop that has not turned for this long hangs.
constexpr Duration kLoopPatience = std::chrono::seconds(10);

}  // namespace

/// One worker's part of a question. When the last part is over, because the worker has done it or has ended,
/// the loop hears of it.
class Workers::Answer {
 public:
  Answer(std::shared_ptr<Answers> answers, Inbox& inbox, std::function<void()> all_over)
      : answers_(std::move(answers)), inbox_(inbox), all_over_(std::move(all_over)) {}
  ~Answer() {
    if (answers_->open.fetch_sub(1) == 1) inbox_.post(std::move(all_over_));
  }
  Answer(const Answer&) = delete;
  Answer& operator=(const Answer&) = delete;

  void is_done() { ++answers_->worked; }

 private:
  std::shared_ptr<Answers> answers_;
  Inbox& inbox_;
  std::function<void()> all_over_;
};

Workers::Workers(Loop& loop, Inbox& inbox, Log& log, MetricsRegistry& registry)
    : inbox_(inbox),
      log_(log),
      registry_(registry),
      ticked_(Clock::now()),
      regularly_since_(ticked_.load()),
      patience_(loop, this, Timer::Calls<[](void* self) { static_cast<Workers*>(self)->settle(); }>()) {}

Workers::~Workers() {
  for (const auto& worker : everyone()) worker->stop();
}

Result<void> Workers::grow(std::size_t count) {
  while (serving_.size() < count) {
    auto made = Worker::make({.index = static_cast<int>(serving_.size())}, log_, registry_);
    if (!made) return tl::unexpected(std::move(made.error()));
    const std::shared_ptr<Worker> worker = *std::move(made);
    worker->post([worker = worker.get(), levels = log_levels_] { worker->set_log_levels(levels); });
    if (started_) {
      if (auto started = worker->start(); !started) return started;
    }
    const std::lock_guard lock(mutex_);
    serving_.push_back(worker);
  }
  return {};
}

void Workers::shrink(std::size_t count, const std::vector<Worker::Place>& gone) {
  const std::lock_guard lock(mutex_);
  while (serving_.size() > count) {
    Worker* worker = serving_.back().get();
    worker->post([worker, gone] {
      worker->accept_last(gone);
      worker->stop_accepting("", Worker::Waiting::kLeave);
    });
    retired_.push_back(std::move(serving_.back()));
    serving_.pop_back();
  }
}

void Workers::set_log_levels(std::vector<LogOverride> overrides) {
  log_levels_ = std::move(overrides);
  for (const auto& worker : everyone()) {
    worker->post([worker = worker.get(), levels = log_levels_] { worker->set_log_levels(levels); });
  }
}

Result<void> Workers::start() {
  if (std::exchange(started_, true)) return {};
  for (const auto& worker : everyone()) {
    if (auto started = worker->start(); !started) return started;
  }
  return {};
}

void Workers::tick(TimePoint now) {
  if (now - ticked_.load() > kLoopPatience) {
    regularly_since_.store(now);
  }
  ticked_.store(now);
  for (const auto& worker : serving_) worker->ping();
  std::erase_if(endings_, [](const Ending& ending) { return !ending.errand->is_under_way(); });
  std::vector<std::shared_ptr<Worker>> ended;
  {
    const std::lock_guard lock(mutex_);
    const auto empty =
        std::ranges::stable_partition(retired_, [](const auto& one) { return !one->is_empty(); });
    ended.assign(std::make_move_iterator(empty.begin()), std::make_move_iterator(empty.end()));
    retired_.erase(empty.begin(), empty.end());
  }
  for (auto& worker : ended) end(std::move(worker));
}

// Another thread may still ask this worker a question, and then has a share of the worker. This function
// keeps the worker until its end is over, because the main thread destroys workers.
void Workers::end(std::shared_ptr<Worker> worker) {
  Ending& ending =
      endings_.emplace_back(std::move(worker), std::make_unique<Errand>(inbox_, "hg-worker-end"));
  ending.errand->run([worker = ending.worker] { worker->stop(); }, [] {});
}

std::vector<std::shared_ptr<Worker>> Workers::everyone() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<Worker>> all = serving_;
  all.insert(all.end(), retired_.begin(), retired_.end());
  return all;
}

void Workers::ask(const Work& work, std::function<void(Heard)> then) {
  const LongWork at_once = [work](Worker& worker, const std::function<void()>& done) {
    work(worker);
    done();
  };
  ask(at_once, std::move(then));
}

void Workers::ask(const LongWork& work, std::function<void(Heard)> then) {
  const auto all = everyone();
  const TimePoint until = Clock::now() + kPatience;
  auto answers = std::make_shared<Answers>();
  answers->open = all.size() + 1;  // this call's own part keeps the question open until all workers are asked
  questions_.push_back({answers, all.size(), until, std::move(then)});
  patience_.set(questions_.front().until);
  const auto all_over = lifeline_.guard([this] { settle(); });
  const auto part = [&] { return std::make_shared<Answer>(answers, inbox_, all_over); };
  const auto own = part();
  for (const auto& worker : all) {
    worker->post([worker = worker.get(), work, answer = part()]() mutable {
      work(*worker, [answer = std::move(answer)] { answer->is_done(); });
    });
  }
}

// `then` may ask the next question.
void Workers::settle() {
  const TimePoint now = Clock::now();
  std::list<Question> over;
  for (auto at = questions_.begin(); at != questions_.end();) {
    const auto one = at++;
    if (one->answers->open == 0 || one->until <= now) over.splice(over.end(), questions_, one);
  }
  patience_.set(questions_.empty() ? TimePoint::max() : questions_.front().until);
  for (const Question& one : over) {
    one.then(one.answers->worked == one.asked ? Heard::kAll : Heard::kSome);
  }
}

std::size_t Workers::ask_and_wait(const Work& work) {
  std::vector<std::future<void>> answers;
  for (const auto& worker : everyone()) {
    auto answered = std::make_shared<std::promise<void>>();
    answers.push_back(answered->get_future());
    worker->post([worker = worker.get(), work, answered] {
      work(*worker);
      answered->set_value();
    });
  }
  const TimePoint until = Clock::now() + kPatience;
  for (auto& answer : answers) answer.wait_until(until);
  return answers.size();
}

Health Workers::loops_turn(TimePoint now) const {
  if (now - ticked_.load() > kLoopPatience) {
    return {false, "the main thread has not turned for 10 s"};
  }
  const TimePoint asked_since = regularly_since_.load();
  const std::lock_guard lock(mutex_);
  for (const auto& worker : serving_) {
    if (now - std::max(worker->last_answer(), asked_since) > kLoopPatience) {
      return {false, "worker " + std::to_string(worker->index()) + " has not answered for 10 s"};
    }
  }
  return {};
}

}  // namespace headgate
