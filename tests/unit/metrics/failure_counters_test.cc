#include "metrics/failure_counters.h"

#include <thread>

#include <gtest/gtest.h>

#include "metrics/alert_name.h"

namespace headgate {
namespace {

using Sums = std::map<std::pair<HandshakeFailure, std::uint8_t>, std::uint64_t>;

Sums sums_of(const FailureCounters& counters) {
  Sums sums;
  counters.add_to(sums);
  return sums;
}

std::uint64_t total_of(const Sums& sums) {
  std::uint64_t total = 0;
  for (const auto& [pair, count] : sums) total += count;
  return total;
}

TEST(FailureCounters, KeepEachReasonAndAlertApart) {
  FailureCounters counters;
  counters.add(HandshakeFailure::kPeerAlert, 42);
  counters.add(HandshakeFailure::kPeerAlert, 48, 2);
  counters.add(HandshakeFailure::kClientLeft, kNoAlert);
  counters.add(HandshakeFailure::kPeerAlert, 42);
  EXPECT_EQ(sums_of(counters), (Sums{{{HandshakeFailure::kPeerAlert, 42}, 2},
                                     {{HandshakeFailure::kPeerAlert, 48}, 2},
                                     {{HandshakeFailure::kClientLeft, kNoAlert}, 1}}));
}

TEST(FailureCounters, CountAllAlertsWithoutANameAsOne) {
  FailureCounters counters;
  for (int alert = 0; alert < 256; ++alert)
    counters.add(HandshakeFailure::kPeerAlert, static_cast<std::uint8_t>(alert));
  const Sums sums = sums_of(counters);
  EXPECT_EQ(total_of(sums), 256U);
  EXPECT_EQ(sums.size(), 36U);  // those with a name, "other" and "none"
  EXPECT_EQ(sums.at({HandshakeFailure::kPeerAlert, kOtherAlert}), 256U - 35U);
}

TEST(FailureCounters, LoseNoFailureOfAReasonWhenTheTableIsFull) {
  FailureCounters counters;
  for (std::size_t reason = 0; reason < kHandshakeFailureCount; ++reason) {
    for (int alert = 0; alert < 256; ++alert)
      counters.add(static_cast<HandshakeFailure>(reason), static_cast<std::uint8_t>(alert));
  }
  std::map<HandshakeFailure, std::uint64_t> by_reason;
  for (const auto& [pair, count] : sums_of(counters)) by_reason[pair.first] += count;
  EXPECT_EQ(by_reason.size(), kHandshakeFailureCount);
  for (const auto& [reason, count] : by_reason) EXPECT_EQ(count, 256U) << name(reason);
}

TEST(FailureCounters, AreReadWhileTheWorkerCounts) {
  FailureCounters counters;
  std::thread worker([&] {
    for (int i = 0; i < 50'000; ++i)
      counters.add(static_cast<HandshakeFailure>(i % 17), static_cast<std::uint8_t>(i % 256));
  });
  std::uint64_t before = 0;
  for (int i = 0; i < 200; ++i) {
    const std::uint64_t now = total_of(sums_of(counters));
    EXPECT_GE(now, before);
    before = now;
  }
  worker.join();
  EXPECT_EQ(total_of(sums_of(counters)), 50'000U);
}

}  // namespace
}  // namespace headgate
