#include "worker/handshake_prices.h"

#include <gtest/gtest.h>

namespace headgate::test {
namespace {

using namespace std::chrono_literals;

constexpr HandshakeCost kRsa2048{.key = KeyType::kRsa, .key_bits = 2048};
constexpr HandshakeCost kRsa4096{.key = KeyType::kRsa, .key_bits = 4096};
constexpr HandshakeCost kP256{.key = KeyType::kP256};

TEST(HandshakePrices, AreHigherForSlowerKeysFromTheStart) {
  const HandshakePrices prices;
  EXPECT_GT(prices.of(kRsa4096), 2 * prices.of(kRsa2048));
  EXPECT_GT(prices.of(kRsa2048), 2 * prices.of(kP256));
}

TEST(HandshakePrices, FollowWhatStepsReallyTook) {
  HandshakePrices prices;
  for (int i = 0; i < 200; ++i) prices.learn(kRsa4096, 12ms);
  EXPECT_GT(prices.of(kRsa4096), 11ms);
  EXPECT_LT(prices.of(kRsa2048), 2ms) << "each kind has its own price";
}

TEST(HandshakePrices, AreNeverNothing) {
  HandshakePrices prices;
  for (int i = 0; i < 10'000; ++i) prices.learn(kP256, Duration{});
  EXPECT_GT(prices.of(kP256), Duration{});
}

TEST(HandshakePrices, RiseWithTheTicketsThatAreOffered) {
  const HandshakePrices prices;
  HandshakeCost many = kP256;
  many.tickets = 1600;
  EXPECT_GE(prices.of(many), prices.of(kP256) + 3ms);
}

TEST(HandshakePrices, TellEndingAndResumingFromFullHandshakes) {
  HandshakePrices prices;
  HandshakeCost resume = kP256;
  resume.work = HandshakeWork::kResume;
  for (int i = 0; i < 200; ++i) prices.learn(resume, 20us);
  EXPECT_LT(prices.of(resume), prices.of(kP256));
}

}  // namespace
}  // namespace headgate::test
