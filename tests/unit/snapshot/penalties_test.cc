#include "snapshot/penalties.h"

#include <gtest/gtest.h>

namespace headgate {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kFirstFailure{1h};
constexpr config::Penalty kThreeInTenSeconds{.failures = 3, .within = 10s, .for_time = 30s};

class PenaltiesTest : public testing::Test {
 protected:
  bool fails(SourceNetwork source, Duration after) {
    return penalties.count_failed(source, kThreeInTenSeconds, kFirstFailure + after);
  }
  bool is_penalized(SourceNetwork source, Duration after) {
    return penalties.is_penalized(source, kFirstFailure + after);
  }
  Penalties penalties;
};

TEST_F(PenaltiesTest, BeginWithTheLastOfTheFailuresAndEndByThemselves) {
  EXPECT_FALSE(fails(1, 0s));
  EXPECT_FALSE(fails(1, 5s));
  EXPECT_FALSE(is_penalized(1, 9s));
  EXPECT_TRUE(fails(1, 10s - 1ms));
  EXPECT_TRUE(is_penalized(1, 10s));
  EXPECT_TRUE(is_penalized(1, 40s - 2ms));
  EXPECT_FALSE(is_penalized(1, 40s));
  EXPECT_FALSE(fails(1, 40s)) << "it begins anew";
  EXPECT_FALSE(is_penalized(1, 40s));
}

TEST_F(PenaltiesTest, ForgetFailuresThatAreTooFarApart) {
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(fails(1, i * 6s));
}

TEST_F(PenaltiesTest, MeetNoOtherSource) {
  for (int i = 0; i < 3; ++i) fails(1, 0s);
  EXPECT_TRUE(is_penalized(1, 1s));
  EXPECT_FALSE(is_penalized(0, 1s));
  EXPECT_FALSE(is_penalized(2, 1s));
}

// Behind a NAT there may be one client that always fails, and many that do not.
TEST_F(PenaltiesTest, SpareASourceWhoseHandshakesSucceedAsOftenAsTheyFail) {
  for (int i = 0; i < 100; ++i) {
    EXPECT_FALSE(fails(1, i * 10ms));
    penalties.count_ok(1, kFirstFailure + i * 10ms);
  }
  for (int i = 0; i < 2; ++i) EXPECT_FALSE(fails(1, 2s));
  EXPECT_TRUE(fails(1, 2s));
}

TEST_F(PenaltiesTest, AreNotTakenBackByASuccess) {
  for (int i = 0; i < 3; ++i) fails(1, 0s);
  penalties.count_ok(1, kFirstFailure + 1s);
  EXPECT_TRUE(is_penalized(1, 1s));
}

TEST_F(PenaltiesTest, DoNotGrowByFailuresOfConnectionsThatWereThereBefore) {
  for (int i = 0; i < 3; ++i) fails(1, 0s);
  EXPECT_FALSE(fails(1, 29s));
  EXPECT_FALSE(is_penalized(1, 30s));
}

}  // namespace
}  // namespace headgate
