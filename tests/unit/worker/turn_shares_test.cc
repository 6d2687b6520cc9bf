#include "worker/turn_shares.h"

#include <gtest/gtest.h>

namespace headgate {
namespace {

using namespace std::chrono_literals;

TEST(TurnSharesTest, GivesPermitsInATurnWithoutOtherHandshakes) {
  TurnShares shares;
  for (int turn = 0; turn < 3; ++turn) {
    EXPECT_TRUE(shares.permits_are_due(false));
    shares.permits_had(400us);
    shares.turn_over();
  }
}

TEST(TurnSharesTest, GivesNewcomersThatAreLeftAsMuchTimeAsPermits) {
  TurnShares shares;
  EXPECT_TRUE(shares.permits_are_due(true));
  shares.permits_had(250us);
  shares.turn_over();
  for (int turn = 0; turn < 2; ++turn) {
    shares.newcomers_had(100us);
    EXPECT_FALSE(shares.permits_are_due(true));
    shares.turn_over();
  }
  shares.newcomers_had(100us);
  EXPECT_TRUE(shares.permits_are_due(true));
}

TEST(TurnSharesTest, GivesPermitsAtOnceWhenNoNewcomerIsLeft) {
  TurnShares shares;
  shares.permits_had(400us);
  shares.newcomers_had(50us);
  EXPECT_TRUE(shares.permits_are_due(false));
}

TEST(TurnSharesTest, LeavesPermitsToTheNextTurnBehindALongOperation) {
  TurnShares shares;
  shares.operations_had(150us);
  EXPECT_FALSE(shares.permits_are_due(false));
  shares.turn_over();
  EXPECT_TRUE(shares.permits_are_due(false));
}

TEST(TurnSharesTest, DoesNotKeepPermitsWaitingForASecondTurn) {
  TurnShares shares;
  for (int i = 0; i < 3; ++i) {
    shares.operations_had(150us);
    EXPECT_FALSE(shares.permits_are_due(false));
    shares.turn_over();
    shares.operations_had(150us);
    EXPECT_TRUE(shares.permits_are_due(false));
    shares.turn_over();
  }
}

TEST(TurnSharesTest, ForgetsWhatATurnWithoutRequestsHad) {
  TurnShares shares;
  shares.operations_had(150us);
  shares.turn_over();
  EXPECT_TRUE(shares.permits_are_due(false));
}

}  // namespace
}  // namespace headgate
