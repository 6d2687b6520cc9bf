#include "supervisor/log_control.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace headgate {
namespace {

using ::testing::HasSubstr;
using Verdict = Outcome::Verdict;
using std::chrono::minutes;

struct LogControlled : ::testing::Test {
  LogControlled() { control.configure(LogLevel::kWarn); }
  std::unique_ptr<Log> log = *Log::open({});
  std::vector<LogOverride> published;
  LogControl control{*log, [this](const auto& overrides) { published = overrides; }};
};

TEST_F(LogControlled, TheLevelOfTheProcessHoldsUntilTheNextConfiguration) {
  EXPECT_EQ(control.ask({.level = LogLevel::kError}).verdict, Verdict::kDone);
  EXPECT_EQ(log->level(), LogLevel::kError);
  control.configure(LogLevel::kInfo);
  EXPECT_EQ(log->level(), LogLevel::kInfo);
}

TEST_F(LogControlled, TheLevelOfTheProcessGoesBackByItselfWhereATimeWasGiven) {
  EXPECT_EQ(control.ask({.level = LogLevel::kError, .time = minutes(1)}).verdict, Verdict::kDone);
  control.step(Clock::now());
  EXPECT_EQ(log->level(), LogLevel::kError);
  control.step(Clock::now() + minutes(2));
  EXPECT_EQ(log->level(), LogLevel::kWarn);
}

TEST_F(LogControlled, APartHasItsLevelForAWhile) {
  const Outcome outcome = control.ask({.level = LogLevel::kDebug, .listener = "web"});
  EXPECT_THAT(outcome.message, HasSubstr("listener web is debug for 10m"));
  ASSERT_EQ(published.size(), 1U);
  EXPECT_EQ(published[0].listener, "web");
  EXPECT_EQ(log->level(), LogLevel::kWarn);
  control.step(Clock::now() + minutes(9));
  EXPECT_EQ(published.size(), 1U);
  control.step(Clock::now() + minutes(11));
  EXPECT_TRUE(published.empty());
}

TEST_F(LogControlled, AskingAgainReplacesTheLevelOfAPart) {
  static_cast<void>(control.ask({.level = LogLevel::kDebug, .source = "10.0.0.0/8"}));
  static_cast<void>(control.ask({.level = LogLevel::kError, .source = "10.0.0.0/8"}));
  ASSERT_EQ(published.size(), 1U);
  EXPECT_EQ(published[0].level, LogLevel::kError);
  EXPECT_EQ(control.reports()[0].of, "source 10.0.0.0/8");
}

TEST_F(LogControlled, ResetEndsOneOrAll) {
  static_cast<void>(control.ask({.level = LogLevel::kDebug, .listener = "web"}));
  static_cast<void>(control.ask({.level = LogLevel::kDebug, .listener = "api"}));
  EXPECT_EQ(control.ask({.listener = "web"}).verdict, Verdict::kDone);
  ASSERT_EQ(published.size(), 1U);
  EXPECT_EQ(control.ask({.listener = "web"}).verdict, Verdict::kNotFound);
  static_cast<void>(control.ask({.level = LogLevel::kError}));
  EXPECT_EQ(control.ask({}).verdict, Verdict::kDone);
  EXPECT_TRUE(published.empty());
  EXPECT_EQ(log->level(), LogLevel::kWarn);
}

TEST_F(LogControlled, ThereIsABoundToThem) {
  for (std::size_t i = 0; i < LogControl::kMost; ++i)
    EXPECT_EQ(control.ask({.level = LogLevel::kDebug, .listener = std::to_string(i)}).verdict,
              Verdict::kDone);
  EXPECT_EQ(control.ask({.level = LogLevel::kDebug, .listener = "one more"}).verdict, Verdict::kRefused);
  EXPECT_EQ(published.size(), LogControl::kMost);
}

}  // namespace
}  // namespace headgate
