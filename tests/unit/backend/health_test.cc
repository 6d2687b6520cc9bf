#include "backend/health.h"

#include <gtest/gtest.h>

namespace headgate {
namespace {

using enum Health::Change;

TEST(Health, BeginsUpAndOnTrial) {
  Health health(2, 3);
  EXPECT_TRUE(health.is_up());
  EXPECT_EQ(health.failed(), kWentDown);
  EXPECT_FALSE(health.is_up());
}

TEST(Health, GoesDownAfterAsManyFailuresInARowAsFall) {
  Health health(2, 3);
  EXPECT_EQ(health.succeeded(), kNone);
  EXPECT_EQ(health.failed(), kNone);
  EXPECT_EQ(health.failed(), kNone);
  EXPECT_EQ(health.succeeded(), kNone);
  EXPECT_EQ(health.failed(), kNone);
  EXPECT_EQ(health.failed(), kNone);
  EXPECT_EQ(health.failed(), kWentDown);
  EXPECT_EQ(health.failed(), kNone);
}

TEST(Health, ComesUpAfterAsManySuccessesInARowAsRise) {
  Health health(2, 1);
  EXPECT_EQ(health.failed(), kWentDown);
  EXPECT_EQ(health.succeeded(), kNone);
  EXPECT_EQ(health.failed(), kNone);
  EXPECT_EQ(health.succeeded(), kNone);
  EXPECT_EQ(health.succeeded(), kCameUp);
  EXPECT_EQ(health.succeeded(), kNone);
  EXPECT_TRUE(health.is_up());
}

TEST(Health, StaysWhatItIsUnderOtherBounds) {
  Health health(2, 1);
  health.failed();
  Health other = health.with_bounds(1, 5);
  EXPECT_FALSE(other.is_up());
  EXPECT_EQ(other.succeeded(), kCameUp);
}

}  // namespace
}  // namespace headgate
