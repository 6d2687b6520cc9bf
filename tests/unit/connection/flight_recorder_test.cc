#include "connection/flight_recorder.h"

#include <gtest/gtest.h>

namespace headgate {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;

const TimePoint kNow = TimePoint(std::chrono::hours(100));

struct Recorded : ::testing::Test {
  void handshake(milliseconds total, TimePoint now) { recorder.done("web", info, {.total = total}, {}, now); }
  std::vector<long> slowest_ms(TimePoint now) {
    std::vector<long> all;
    for (const auto& one : recorder.slowest(now)) all.push_back(one.total.count() / 1000);
    return all;
  }
  ConnectionInfo info;
  FlightRecorder recorder;
};

TEST_F(Recorded, TheSlowestComeFirst) {
  for (const int total : {20, 90, 40}) handshake(milliseconds(total), kNow);
  EXPECT_EQ(slowest_ms(kNow), (std::vector<long>{90, 40, 20}));
}

TEST_F(Recorded, ABoundedNumberIsKeptWhateverTheirOrder) {
  for (int i = 0; i < 1000; ++i) handshake(milliseconds((i * 7) % 1000), kNow);
  const auto kept = slowest_ms(kNow);
  ASSERT_EQ(kept.size(), FlightRecorder::kKept);
  EXPECT_EQ(kept.front(), 999);
  EXPECT_EQ(kept.back(), 1000 - static_cast<long>(FlightRecorder::kKept));
}

TEST_F(Recorded, ABadHourIsForgottenWhenItsWindowIsOver) {
  handshake(milliseconds(5000), kNow);
  handshake(milliseconds(30), kNow + minutes(11));
  EXPECT_EQ(slowest_ms(kNow + minutes(12)), (std::vector<long>{5000, 30}));
  handshake(milliseconds(20), kNow + minutes(22));
  EXPECT_EQ(slowest_ms(kNow + minutes(22)), (std::vector<long>{30, 20}));
}

TEST_F(Recorded, NothingIsShownAfterAQuietTime) {
  handshake(milliseconds(5000), kNow);
  EXPECT_TRUE(slowest_ms(kNow + minutes(30)).empty());
}

}  // namespace
}  // namespace headgate
