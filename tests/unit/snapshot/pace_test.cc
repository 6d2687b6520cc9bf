#include "snapshot/pace.h"

#include <atomic>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "snapshot/source_paces.h"

namespace headgate {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kBegin{1h};

int taken(Pace& pace, std::uint32_t per_second, TimePoint now, int asked) {
  int count = 0;
  for (int i = 0; i < asked; ++i) count += pace.take(per_second, now) ? 1 : 0;
  return count;
}

TEST(Pace, LetsASecondsWorthThroughAtOnceAndThenKeepsToTheRate) {
  Pace pace;
  EXPECT_EQ(taken(pace, 10, kBegin, 100), 11) << "a second's worth, and the one that is due now";
  EXPECT_EQ(taken(pace, 10, kBegin + 99ms, 100), 0);
  EXPECT_EQ(taken(pace, 10, kBegin + 100ms, 100), 1);
  EXPECT_EQ(taken(pace, 10, kBegin + 500ms, 100), 4);
  EXPECT_EQ(taken(pace, 10, kBegin + 1h, 100), 11) << "a pause of an hour saves up no more";
}

TEST(Pace, TakesANewRateAtOnce) {
  Pace pace;
  EXPECT_EQ(taken(pace, 1, kBegin, 100), 2);
  EXPECT_EQ(taken(pace, 100, kBegin + 1s, 200), 1) << "the next one was promised for a second later";
  EXPECT_EQ(taken(pace, 100, kBegin + 2s, 200), 100);
}

TEST(Pace, LetsNoMoreThroughWhereManyThreadsAsk) {
  Pace pace;
  std::atomic<int> count{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) threads.emplace_back([&] { count += taken(pace, 1000, kBegin, 1000); });
  }
  EXPECT_EQ(count, 1001);
}

TEST(SourcePaces, GivesEachSourceARateOfItsOwn) {
  SourcePaces paces;
  const auto take = [&](SourceNetwork source, TimePoint now) { return paces.take(source, 1, now); };
  for (const SourceNetwork source : {SourceNetwork{0}, SourceNetwork{7}}) {
    EXPECT_TRUE(take(source, kBegin));
    EXPECT_TRUE(take(source, kBegin));
    EXPECT_FALSE(take(source, kBegin));
  }
  EXPECT_TRUE(take(7, kBegin + 1s));
  EXPECT_FALSE(take(7, kBegin + 1s));
}

}  // namespace
}  // namespace headgate
