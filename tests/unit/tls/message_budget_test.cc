#include "tls/message_budget.h"

#include <gtest/gtest.h>

namespace headgate {
namespace {

constexpr CoarseTime kStart{123'456};

/// The number of messages that the budget allows now, which it has not after that.
std::uint32_t spend_all(MessageBudget& budget) {
  std::uint32_t count = 0;
  while (budget.spend()) ++count;
  return count;
}

TEST(MessageBudget, AllowsASecondsWorthAtOnce) {
  MessageBudget budget;
  EXPECT_FALSE(budget.needs_time());
  EXPECT_EQ(spend_all(budget), MessageBudget::kPerSecond);
  EXPECT_TRUE(budget.needs_time());
}

TEST(MessageBudget, EarnsWithTheTime) {
  MessageBudget budget;
  spend_all(budget);
  budget.pass_time(kStart);
  spend_all(budget);
  budget.pass_time(kStart + CoarseTime(250));
  EXPECT_EQ(spend_all(budget), MessageBudget::kPerSecond / 4);
}

TEST(MessageBudget, AllowsItsRateForEver) {
  MessageBudget budget;
  CoarseTime now = kStart;
  for (std::uint32_t i = 0; i < 100 * MessageBudget::kPerSecond; ++i) {
    now += CoarseTime(1000 / MessageBudget::kPerSecond);
    if (budget.needs_time()) budget.pass_time(now);
    ASSERT_TRUE(budget.spend()) << i;
  }
}

TEST(MessageBudget, SavesNoMoreThanASecondOfTime) {
  MessageBudget budget;
  spend_all(budget);
  budget.pass_time(kStart);
  spend_all(budget);
  budget.pass_time(kStart + CoarseTime(3'600'000));
  EXPECT_EQ(spend_all(budget), MessageBudget::kPerSecond);
}

TEST(MessageBudget, OutlivesAClockThatWrapsAround) {
  MessageBudget budget;
  spend_all(budget);
  budget.pass_time(CoarseTime(0xffff'ff80));
  spend_all(budget);
  budget.pass_time(CoarseTime(0x0000'007a));  // 250 ms later
  EXPECT_EQ(spend_all(budget), MessageBudget::kPerSecond / 4);
}

TEST(MessageBudget, EarnsWithTheDataUpToABound) {
  MessageBudget budget;
  spend_all(budget);
  budget.earn(10 * MessageBudget::kBytesPerMessage);
  EXPECT_EQ(spend_all(budget), 10u);
  budget.earn(SIZE_MAX);
  budget.earn(SIZE_MAX);
  EXPECT_EQ(spend_all(budget), MessageBudget::kMost);
}

TEST(MessageBudget, TimeTakesNothingAwayThatDataHasEarned) {
  MessageBudget budget;
  budget.earn(500 * MessageBudget::kBytesPerMessage);
  budget.pass_time(kStart);
  EXPECT_EQ(spend_all(budget), MessageBudget::kPerSecond + 500);
}

TEST(MessageBudget, ChargesMoreForADearMessage) {
  MessageBudget budget;
  for (std::uint32_t i = 0; i < MessageBudget::kPerSecond / MessageBudget::kRenegotiationPrice; ++i)
    EXPECT_TRUE(budget.spend(MessageBudget::kRenegotiationPrice));
  EXPECT_FALSE(budget.spend(MessageBudget::kRenegotiationPrice));
}

}  // namespace
}  // namespace headgate
