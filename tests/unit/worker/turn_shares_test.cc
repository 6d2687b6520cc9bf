#include "worker/turn_shares.h"

#include <gtest/gtest.h>

namespace headgate {
namespace {

using namespace std::chrono_literals;
using Share = TurnShares::Share;

TEST(TurnSharesTest, LeavesEachTurnToThoseThatWait) {
  TurnShares shares;
  EXPECT_EQ(shares.take_turn(false, false), Share::kNobody);
  for (int turn = 0; turn < 3; ++turn) {
    EXPECT_EQ(shares.take_turn(false, true), Share::kPermits);
    shares.permits_had(400us);
  }
  for (int turn = 0; turn < 10; ++turn) {
    EXPECT_EQ(shares.take_turn(true, false), Share::kNewcomers);
    shares.newcomers_had(100us);
  }
}

TEST(TurnSharesTest, GivesNewcomersThatWaitAsMuchTimeAsPermits) {
  TurnShares shares;
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(shares.take_turn(true, true), Share::kPermits);
    shares.permits_had(250us);
    for (int turn = 0; turn < 3; ++turn) {
      EXPECT_EQ(shares.take_turn(true, true), Share::kNewcomers);
      shares.newcomers_had(100us);
    }
  }
}

TEST(TurnSharesTest, GivesPermitsAtOnceWhenNoNewcomerIsLeft) {
  TurnShares shares;
  shares.permits_had(400us);
  EXPECT_EQ(shares.take_turn(true, true), Share::kNewcomers);
  shares.newcomers_had(50us);
  EXPECT_EQ(shares.take_turn(false, true), Share::kPermits);
}

TEST(TurnSharesTest, LeavesPermitsToTheNextTurnBehindALongOperation) {
  TurnShares shares;
  for (int i = 0; i < 3; ++i) {
    shares.operations_had(150us);
    EXPECT_EQ(shares.take_turn(false, true), Share::kNobody);
    EXPECT_EQ(shares.take_turn(false, true), Share::kPermits);
  }
  shares.operations_had(150us);
  EXPECT_EQ(shares.take_turn(true, true), Share::kNewcomers);
}

TEST(TurnSharesTest, DoesNotKeepPermitsWaitingForASecondTurn) {
  TurnShares shares;
  for (int i = 0; i < 3; ++i) {
    shares.operations_had(150us);
    EXPECT_EQ(shares.take_turn(false, true), Share::kNobody);
    shares.operations_had(150us);
    EXPECT_EQ(shares.take_turn(false, true), Share::kPermits);
  }
}

TEST(TurnSharesTest, ForgetsWhatATurnWithoutRequestsHad) {
  TurnShares shares;
  shares.operations_had(150us);
  EXPECT_EQ(shares.take_turn(false, false), Share::kNobody);
  EXPECT_EQ(shares.take_turn(false, true), Share::kPermits);
}

}  // namespace
}  // namespace headgate
