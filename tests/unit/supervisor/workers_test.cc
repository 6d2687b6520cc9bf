#include "supervisor/workers.h"

#include <fcntl.h>
#include <sys/resource.h>

#include <optional>

#include "unit/supervisor/process_parts.h"

namespace headgate {
namespace {

using Heard = Workers::Heard;

class WorkersTest : public testing::Test {
 protected:
  void start(std::size_t count) {
    EXPECT_TRUE(workers_->start());
    ASSERT_TRUE(workers_->grow(count));
  }
  std::unique_ptr<Log> log_ = *Log::open({.level = LogLevel::kError});
  MetricsRegistry registry_;
  Loop loop_;
  Inbox inbox_{loop_};
  std::optional<Workers> workers_{std::in_place, loop_, inbox_, *log_, registry_};
};

TEST_F(WorkersTest, AnswerOnTheLoopWhenAllHaveWorked) {
  start(3);
  auto worked = std::make_shared<std::atomic<int>>(0);
  std::optional<Heard> heard;
  const auto main_thread = std::this_thread::get_id();
  workers_->ask([worked](Worker&) { ++*worked; },
                [&](Heard answer) {
                  EXPECT_EQ(std::this_thread::get_id(), main_thread);
                  heard = answer;
                });
  turn_until(loop_, [&] { return heard.has_value(); });
  EXPECT_EQ(heard, Heard::kAll);
  EXPECT_EQ(*worked, 3);
}

TEST_F(WorkersTest, ThatHangHoldUpNeitherTheLoopNorTheOthers) {
  start(2);
  auto hang = std::make_optional<Hang>(workers_->at(0));
  auto worked = std::make_shared<std::atomic<int>>(0);
  std::optional<Heard> heard;
  workers_->ask([worked](Worker&) { ++*worked; }, [&](Heard answer) { heard = answer; });
  bool turned = false;
  inbox_.post([&] { turned = true; });
  turn_until(loop_, [&] { return turned && *worked == 1; });
  EXPECT_FALSE(heard.has_value());
  turn_until(loop_, [&] { return heard.has_value(); });
  EXPECT_EQ(heard, Heard::kSome);
  hang.reset();
  heard.reset();
  workers_->ask([](Worker&) {}, [&](Heard answer) { heard = answer; });
  turn_until(loop_, [&] { return heard.has_value(); });
  EXPECT_EQ(heard, Heard::kAll);
}

TEST_F(WorkersTest, AreAsManyAsTheDescriptorsAllow) {
  start(1);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  Fd last(::open("/dev/null", O_RDONLY | O_CLOEXEC));  // has the lowest free number
  const rlimit low{static_cast<rlim_t>(last.number()) + 1, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
  last.close();  // This one is left; those with higher numbers may be taken.
  const auto grown = workers_->grow(1000);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(grown.error().kind, ErrorKind::kSystem);
  EXPECT_EQ(workers_->size(), 1U);
  EXPECT_TRUE(workers_->grow(2));
}

TEST_F(WorkersTest, AreRetiredAndEndedWithoutWaitingForOneThatHangs) {
  start(2);
  std::optional<Heard> heard;
  workers_->ask([](Worker&) {}, [&](Heard answer) { heard = answer; });
  turn_until(loop_, [&] { return heard.has_value(); });
  auto hang = std::make_optional<Hang>(workers_->at(1));  // after a turn without connections: it is empty
  workers_->shrink(1, {});
  workers_->tick(Clock::now());  // returns at once: an errand waits for the end of the worker
  EXPECT_EQ(workers_->size(), 1U);
  heard.reset();
  workers_->ask([](Worker&) {}, [&](Heard answer) { heard = answer; });
  turn_until(loop_, [&] { return heard.has_value(); });
  hang.reset();
}

TEST_F(WorkersTest, AreNotBlamedWhileTheMainThreadHangs) {
  const TimePoint start_of_test = Clock::now();
  const auto after = [&](int seconds) { return start_of_test + std::chrono::seconds(seconds); };
  start(1);
  workers_->tick(start_of_test);
  const Health main_hangs = workers_->loops_turn(after(12));
  EXPECT_FALSE(main_hangs.ok);
  EXPECT_EQ(main_hangs.reason, "the main thread has not turned for 10 s");
  const Hang hang(workers_->at(0));
  workers_->tick(after(12));  // the main thread goes on: only from now on can a worker miss a question
  EXPECT_TRUE(workers_->loops_turn(after(13)).ok);
  workers_->tick(after(20));
  workers_->tick(after(29));
  const Health worker_hangs = workers_->loops_turn(after(30));
  EXPECT_FALSE(worker_hangs.ok);
  EXPECT_EQ(worker_hangs.reason, "worker 0 has not answered for 10 s");
}

TEST_F(WorkersTest, AskedWhileTheyEndTellNobodyAfterwards) {
  ASSERT_TRUE(workers_->grow(2));  // not started: the worker never does its errands
  bool told = false;
  workers_->ask([](Worker&) {}, [&](Heard) { told = true; });
  workers_.reset();
  loop_.run_once();
  EXPECT_FALSE(told);
}

TEST_F(WorkersTest, AreAskedFromAnotherThreadWhichWaits) {
  start(2);
  auto worked = std::make_shared<std::atomic<int>>(0);
  std::size_t asked = 0;
  std::thread([&] { asked = workers_->ask_and_wait([worked](Worker&) { ++*worked; }); }).join();
  EXPECT_EQ(asked, 2U);
  EXPECT_EQ(*worked, 2);
}

}  // namespace
}  // namespace headgate
