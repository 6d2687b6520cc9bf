#include "supervisor/start_line.h"

#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace headgate {
namespace {

TEST(StartLine, HoldsTheWorkersUntilTheVerdict) {
  StartLine line;
  std::vector<StartLine::Verdict> heard(3, StartLine::Verdict::kUndecided);
  std::vector<std::thread> workers;
  for (auto& one : heard) workers.emplace_back([&line, &one] { one = line.wait_for_verdict(); });
  EXPECT_TRUE(line.wait_for_workers(3, Clock::now() + std::chrono::seconds(30)));
  line.decide(StartLine::Verdict::kGo);
  for (auto& worker : workers) worker.join();
  EXPECT_EQ(heard, (std::vector<StartLine::Verdict>{StartLine::Verdict::kGo, StartLine::Verdict::kGo,
                                                    StartLine::Verdict::kGo}));
}

TEST(StartLine, DoesNotWaitForeverForAWorkerThatNeverComes) {
  StartLine line;
  EXPECT_FALSE(line.wait_for_workers(1, Clock::now() + std::chrono::milliseconds(1)));
}

TEST(StartLine, TellsAWorkerThatComesTooLateToo) {
  StartLine line;
  line.decide(StartLine::Verdict::kGiveUp);
  EXPECT_EQ(line.wait_for_verdict(), StartLine::Verdict::kGiveUp);
}

}  // namespace
}  // namespace headgate
