#include "supervisor/memory_return.h"

#include <gtest/gtest.h>

namespace headgate {
namespace {

TEST(MemoryReturn, IsDueOnceWhenHalfOfAPeakHasGoneAndNoMoreGo) {
  MemoryReturn memory;
  for (const std::uint64_t open : {100U, 9000U, 8900U, 5000U, 4400U, 100U})
    EXPECT_FALSE(memory.is_due(open)) << open;
  EXPECT_TRUE(memory.is_due(100));
  EXPECT_FALSE(memory.is_due(100));
  EXPECT_FALSE(memory.is_due(0));
}

TEST(MemoryReturn, IsDueOnceWhenManyHaveComeAndNoMoreCome) {
  MemoryReturn memory;
  for (const std::uint64_t open : {100U, 3000U, 9000U}) EXPECT_FALSE(memory.is_due(open)) << open;
  EXPECT_TRUE(memory.is_due(9020));
  EXPECT_FALSE(memory.is_due(9020));
  EXPECT_FALSE(memory.is_due(9400));
  EXPECT_FALSE(memory.is_due(9400));
  EXPECT_FALSE(memory.is_due(9600));
  EXPECT_TRUE(memory.is_due(9600));
}

TEST(MemoryReturn, IsDueOftenButNotAlwaysNearALimit) {
  MemoryReturnNearLimit memory;
  const TimePoint now(std::chrono::hours(1));
  EXPECT_FALSE(memory.is_due(false, now));
  EXPECT_TRUE(memory.is_due(true, now));
  EXPECT_FALSE(memory.is_due(true, now + MemoryReturnNearLimit::kAtMostEvery / 2));
  EXPECT_TRUE(memory.is_due(true, now + MemoryReturnNearLimit::kAtMostEvery));
}

TEST(MemoryReturn, IsDueAgainAfterTheNextPeak) {
  MemoryReturn memory;
  for (int round = 0; round < 3; ++round) {
    EXPECT_FALSE(memory.is_due(MemoryReturn::kWorthwhile));
    EXPECT_FALSE(memory.is_due(0));
    EXPECT_TRUE(memory.is_due(0));
  }
}

TEST(MemoryReturn, IsNeverDueForFewOrForManyThatStay) {
  MemoryReturn memory;
  for (int second = 0; second < 100; ++second) {
    EXPECT_FALSE(memory.is_due(second % 2 == 0 ? 0 : MemoryReturn::kWorthwhile - 1));
  }
  EXPECT_FALSE(memory.is_due(9000));
  EXPECT_TRUE(memory.is_due(9000));
  for (int second = 0; second < 100; ++second)
    EXPECT_FALSE(memory.is_due(9000U + static_cast<unsigned>(second % 7)));
}

}  // namespace
}  // namespace headgate
