#include "snapshot/process_counters.h"

#include <atomic>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace headgate {
namespace {

TEST(ProcessCounters, HaveNoMorePlacesThanTheLimitHoweverManyThreadsAsk) {
  ProcessCounters counters;
  std::atomic<int> entered{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int asked = 0; asked < 1000; ++asked) entered += counters.enter(1500) ? 1 : 0;
      });
    }
  }
  EXPECT_EQ(entered, 1500);
  counters.remove(1);
  EXPECT_TRUE(counters.enter(1500));
  EXPECT_FALSE(counters.enter(1500));
}

TEST(ProcessCounters, CountConnectionsThatWereThereBeforeTheLimit) {
  ProcessCounters counters;
  counters.add(10);
  EXPECT_FALSE(counters.enter(10));
  EXPECT_TRUE(counters.enter(11));
  EXPECT_FALSE(counters.enter(5)) << "a limit below their number takes no more";
}

}  // namespace
}  // namespace headgate
