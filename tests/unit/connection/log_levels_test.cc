#include "connection/log_levels.h"

#include <gtest/gtest.h>

namespace headgate {
namespace {

const TimePoint kAsked = TimePoint(std::chrono::hours(1));

SourceAddress from(const std::string& text) {
  return SourceAddress(*Address::parse(text));
}

TEST(LogLevels, AConnectionHasNoneOfItsOwnWhereNothingWasSet) {
  EXPECT_EQ(LogLevels().find("web", from("10.1.2.3:4"), kAsked), std::nullopt);
}

TEST(LogLevels, AreOfTheListenerOrTheSourceThatWasNamed) {
  LogLevels levels;
  levels.set({{.listener = "web", .level = LogLevel::kInfo},
              {.source = *Network::parse("10.0.0.0/8"), .level = LogLevel::kError}});
  EXPECT_EQ(levels.find("web", from("192.0.2.1:4"), kAsked), LogLevel::kInfo);
  EXPECT_EQ(levels.find("api", from("10.1.2.3:4"), kAsked), LogLevel::kError);
  EXPECT_EQ(levels.find("api", from("192.0.2.1:4"), kAsked), std::nullopt);
}

TEST(LogLevels, GiveTheMostLinesWhereBothMatch) {
  LogLevels levels;
  levels.set({{.listener = "web", .level = LogLevel::kDebug},
              {.source = *Network::parse("10.0.0.0/8"), .level = LogLevel::kError}});
  EXPECT_EQ(levels.find("web", from("10.1.2.3:4"), kAsked), LogLevel::kDebug);
}

TEST(LogLevels, AreOverWhenTheirTimeIs) {
  LogLevels levels;
  levels.set({{.listener = "web", .level = LogLevel::kDebug, .until = kAsked}});
  EXPECT_EQ(levels.find("web", from("10.1.2.3:4"), kAsked), std::nullopt);
  EXPECT_EQ(levels.find("web", from("10.1.2.3:4"), kAsked - std::chrono::seconds(1)), LogLevel::kDebug);
}

TEST(LogLevels, OfTheWholeProcessAreNoConnectionsOwn) {
  LogLevels levels;
  levels.set({{.level = LogLevel::kDebug}});
  EXPECT_EQ(levels.find("web", from("10.1.2.3:4"), kAsked), std::nullopt);
}

}  // namespace
}  // namespace headgate
