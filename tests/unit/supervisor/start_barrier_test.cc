#include "supervisor/start_barrier.h"

#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace headgate {
namespace {

TEST(StartBarrier, HoldsTheWorkersUntilTheVerdict) {
  StartBarrier line;
  std::vector<StartBarrier::Verdict> heard(3, StartBarrier::Verdict::kUndecided);
  std::vector<std::thread> workers;
  for (auto& one : heard) workers.emplace_back([&line, &one] { one = line.wait_for_verdict(); });
  EXPECT_TRUE(line.wait_for_workers(3, Clock::now() + std::chrono::seconds(30)));
  line.decide(StartBarrier::Verdict::kGo);
  for (auto& worker : workers) worker.join();
  EXPECT_EQ(heard, (std::vector<StartBarrier::Verdict>{StartBarrier::Verdict::kGo, StartBarrier::Verdict::kGo,
                                                       StartBarrier::Verdict::kGo}));
}

TEST(StartBarrier, DoesNotWaitForeverForAWorkerThatNeverComes) {
  StartBarrier line;
  EXPECT_FALSE(line.wait_for_workers(1, Clock::now() + std::chrono::milliseconds(1)));
}

TEST(StartBarrier, TellsAWorkerThatComesTooLateToo) {
  StartBarrier line;
  line.decide(StartBarrier::Verdict::kGiveUp);
  EXPECT_EQ(line.wait_for_verdict(), StartBarrier::Verdict::kGiveUp);
}

}  // namespace
}  // namespace headgate
