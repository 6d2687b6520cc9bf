#include "log/failure_limiter.h"

#include <gtest/gtest.h>

namespace headgate {
namespace {

using std::chrono::seconds;

constexpr TimePoint kStart{seconds(1000)};

TEST(FailureLimiter, LetsTheFirstLinesOfAnIntervalPass) {
  FailureLimiter limiter({.lines = 2, .interval = seconds(10)});
  EXPECT_TRUE(limiter.admit("web", "not_tls", kStart));
  EXPECT_TRUE(limiter.admit("web", "not_tls", kStart));
  EXPECT_FALSE(limiter.admit("web", "not_tls", kStart + seconds(9)));
  EXPECT_EQ(limiter.left_out(), 1U);
}

TEST(FailureLimiter, CountsListenersAndReasonsApart) {
  FailureLimiter limiter({.lines = 1, .interval = seconds(10)});
  EXPECT_TRUE(limiter.admit("web", "not_tls", kStart));
  EXPECT_TRUE(limiter.admit("web", "no_route", kStart));
  EXPECT_TRUE(limiter.admit("mail", "not_tls", kStart));
  EXPECT_FALSE(limiter.admit("mail", "not_tls", kStart));
}

TEST(FailureLimiter, SaysHowManyWereLeftOutWhenTheIntervalEnds) {
  FailureLimiter limiter({.lines = 1, .interval = seconds(10)});
  for (int i = 0; i < 813; ++i) static_cast<void>(limiter.admit("web", "not_tls", kStart));
  EXPECT_TRUE(limiter.take_summaries(kStart + seconds(9)).empty());
  const auto summaries = limiter.take_summaries(kStart + seconds(10));
  ASSERT_EQ(summaries.size(), 1U);
  EXPECT_EQ(summaries[0].listener, "web");
  EXPECT_EQ(summaries[0].reason, "not_tls");
  EXPECT_EQ(summaries[0].text(), "812 more connections ended like this in 10 s; their lines were left out");
  EXPECT_TRUE(limiter.take_summaries(kStart + seconds(30)).empty());
}

TEST(FailureLimiter, HasNoSummaryWhenNothingWasLeftOut) {
  FailureLimiter limiter({.lines = 5, .interval = seconds(10)});
  EXPECT_TRUE(limiter.admit("web", "not_tls", kStart));
  EXPECT_TRUE(limiter.take_summaries(kStart + seconds(60)).empty());
}

TEST(FailureLimiter, StartsAgainInTheNextIntervalWithoutLosingTheCount) {
  FailureLimiter limiter({.lines = 1, .interval = seconds(10)});
  EXPECT_TRUE(limiter.admit("web", "not_tls", kStart));
  EXPECT_FALSE(limiter.admit("web", "not_tls", kStart));
  EXPECT_TRUE(limiter.admit("web", "not_tls", kStart + seconds(11)));
  const auto summaries = limiter.take_summaries(kStart + seconds(11));
  ASSERT_EQ(summaries.size(), 1U);
  EXPECT_EQ(summaries[0].left_out, 1U);
}

}  // namespace
}  // namespace headgate
