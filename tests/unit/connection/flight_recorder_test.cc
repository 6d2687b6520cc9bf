#include "connection/flight_recorder.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "unit/connection/hello_of.h"

namespace headgate {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;

const TimePoint kNow = TimePoint(std::chrono::hours(100));

struct Recorded : ::testing::Test {
  void handshake(milliseconds total, TimePoint now) { recorder.done("web", info, {.total = total}, {}, now); }
  std::vector<long> slowest_ms(TimePoint now) {
    std::vector<long> all;
    for (const auto& one : recorder.slowest(now)) all.push_back(one.times.total / milliseconds(1));
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

std::size_t bytes_of(const std::vector<RecordedHandshake>& handshakes) {
  std::size_t total = 0;
  for (const RecordedHandshake& one : handshakes)
    total += sizeof one + one.offer.heap_bytes() + one.server_name.capacity() + one.listener.capacity();
  return total;
}

TEST_F(Recorded, TheLargestClientHellosTakeNoMoreThanTheBound) {
  const auto bytes = test::largest_hello().records();
  const auto hello = parse_client_hello(bytes);
  ASSERT_TRUE(hello.has_value()) << hello.error().what;
  const ClientOffer offer(*hello);
  info.server_name = std::string(60'000, 'n');
  for (int i = 0; i < 300; ++i) {
    recorder.failed("web", info, HandshakeResult::kFailed, {}, offer);
    recorder.done("web", info, {.total = milliseconds(i)}, offer, kNow);
    recorder.done("web", info, {.total = milliseconds(i)}, offer, kNow + minutes(11));
  }
  EXPECT_EQ(recorder.failed().size(), FlightRecorder::kKept);
  const auto slowest = recorder.slowest(kNow + minutes(11));
  ASSERT_EQ(slowest.size(), FlightRecorder::kKept);
  EXPECT_EQ(slowest.front().server_name.size(), RecordedHandshake::kMaxNameBytes);
  EXPECT_EQ(slowest.front().offer.left_out(ClientOffer::List::kCiphers), 10'000 - ClientOffer::kMaxNumbers);
  // The window before holds as many handshakes again.
  EXPECT_LE(bytes_of(recorder.failed()) + 2 * bytes_of(slowest), FlightRecorder::kMaxBytes);
}

TEST_F(Recorded, TheNewestFailuresTakeThePlaceOfTheOldest) {
  for (std::size_t i = 0; i < FlightRecorder::kKept + 10; ++i) {
    info.server_name = std::to_string(i);
    recorder.failed("web", info, HandshakeResult::kFailed, {}, {});
  }
  std::vector<int> names;
  for (const auto& one : recorder.failed()) names.push_back(std::stoi(one.server_name));
  EXPECT_EQ(names.size(), FlightRecorder::kKept);
  EXPECT_EQ(std::ranges::min(names), 10);
}

}  // namespace
}  // namespace headgate
