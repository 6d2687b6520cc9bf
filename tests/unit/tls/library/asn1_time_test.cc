#include "tls/library/asn1_time.h"

#include <chrono>
#include <memory>

#include <gtest/gtest.h>

namespace headgate {
namespace {

struct FreeTime {
  void operator()(ASN1_TIME* time) const { ASN1_TIME_free(time); }
};

WallTime wall_time_of(const char* text) {
  const std::unique_ptr<ASN1_TIME, FreeTime> time(ASN1_TIME_new());
  EXPECT_EQ(ASN1_TIME_set_string(time.get(), text), 1) << text;
  return wall_time(time.get());
}

TEST(Asn1Time, IsTheSecondThatItNames) {
  using namespace std::chrono;
  EXPECT_EQ(wall_time_of("20260102030405Z"), sys_days(2026y / January / 2) + 3h + 4min + 5s);
  EXPECT_EQ(wall_time_of("500102030405Z"), sys_days(1950y / January / 2) + 3h + 4min + 5s);
}

// A count in nanoseconds would overflow, and a revocation list that is valid for ever would be out of date.
TEST(Asn1Time, StopsWhereTheClockDoes) {
  EXPECT_GT(wall_time_of("99991231235959Z"), WallTime::max() - std::chrono::seconds(2));
  EXPECT_LT(wall_time_of("00010101000000Z"), WallTime::min() + std::chrono::seconds(2));
}

TEST(Asn1Time, IsNeverOverWithoutATimeAndLongOverWhenItCannotBeRead) {
  EXPECT_EQ(wall_time(nullptr), WallTime::max());
  const std::unique_ptr<ASN1_TIME, FreeTime> damaged(ASN1_TIME_new());
  ASSERT_EQ(ASN1_STRING_set(damaged.get(), "yesterday", -1), 1);
  EXPECT_EQ(wall_time(damaged.get()), WallTime::min());
}

}  // namespace
}  // namespace headgate
