#include "worker/draining.h"

#include <algorithm>
#include <functional>
#include <future>

#include <gtest/gtest.h>

#include "unit/worker/busy_worker.h"
#include "worker/connection_walk.h"

namespace headgate {
namespace {

constexpr std::size_t kConnections = 5000;
constexpr std::uint32_t kDrain = 7;

std::size_t marked(const Worker& worker) {
  return static_cast<std::size_t>(std::ranges::count_if(
      worker.connections(), [](const auto& connection) { return connection->drain_number == kDrain; }));
}
std::size_t alive(const Worker& worker) {
  return static_cast<std::size_t>(
      std::ranges::count_if(worker.connections(), [](const auto& one) { return !one->is_buried(); }));
}

class DrainingTest : public testing::Test {
 protected:
  DrainingTest() { busy_.add_connections(kConnections); }

  /// Runs `begin` on the worker's thread, and counts in each turn of the loop until the promise is kept.
  /// Returns the most that `number` has changed in one turn.
  std::size_t most_in_a_turn(const std::function<std::size_t(const Worker&)>& number,
                             const std::function<void(Worker&, std::promise<void>&)>& begin) {
    std::promise<void> over;
    std::size_t before = 0, most = 0;
    bool looking = true;
    // A message that posts itself runs once in each turn of the loop.
    std::function<void()> each_turn = [&] {
      const std::size_t now = number(busy_.worker());
      most = std::max(most, now > before ? now - before : before - now);
      before = now;
      if (looking) busy_.worker().post(each_turn);
    };
    busy_.run([&](Worker& worker) {
      before = number(worker);
      each_turn();
      begin(worker, over);
    });
    over.get_future().wait();
    busy_.run([&](Worker&) { looking = false; });
    busy_.run([](Worker&) {});
    return most;
  }

  std::uint64_t begin() {
    std::promise<std::uint64_t> count;
    busy_.run([&](Worker& worker) {
      worker.draining().begin(kDrain, {}, [&](std::uint64_t some) { count.set_value(some); });
    });
    return count.get_future().get();
  }

  test::BusyWorker busy_;
};

TEST_F(DrainingTest, MarksNoMoreThanASliceInOneTurn) {
  std::uint64_t count = 0;
  const std::size_t most = most_in_a_turn(marked, [&](Worker& worker, std::promise<void>& over) {
    worker.draining().begin(kDrain, {}, [&](std::uint64_t some) {
      count = some;
      over.set_value();
    });
  });
  EXPECT_EQ(count, kConnections);
  EXPECT_LE(most, ConnectionWalk::kSliceCost);
}

TEST_F(DrainingTest, EndsNoMoreThanASliceInOneTurn) {
  ASSERT_EQ(begin(), kConnections);
  DrainProgress left;
  const std::size_t most = most_in_a_turn(alive, [&](Worker& worker, std::promise<void>& over) {
    worker.draining().go_on({{kDrain, 0}}, [&](const Draining::Progress& of) {
      left = of.at(kDrain);
      over.set_value();
    });
  });
  EXPECT_EQ(left.remaining, 0U);
  EXPECT_GT(most, 0U);
  EXPECT_LE(most, ConnectionWalk::kSliceCost / (1 + ConnectionWalk::kEndCost));
}

TEST_F(DrainingTest, CountsWhatIsLeftWhileConnectionsEndAndCome) {
  ASSERT_EQ(begin(), kConnections);
  busy_.run([](Worker& worker) {
    for (std::size_t i = 0; i < 1000; ++i) worker.connections()[i * 5]->end(CloseReason::kCut);
  });
  busy_.add_connections(1000);
  std::promise<DrainProgress> left;
  busy_.run([&](Worker& worker) {
    worker.draining().go_on({{kDrain, 0.5}},
                            [&](const Draining::Progress& of) { left.set_value(of.at(kDrain)); });
  });
  EXPECT_EQ(left.get_future().get().remaining, kConnections - 1000) << "none is quiet: none is in relay";
}

TEST_F(DrainingTest, DoesOneStepAtATime) {
  ASSERT_EQ(begin(), kConnections);
  std::promise<void> first;
  auto second = std::make_shared<int>(0);
  busy_.run([&](Worker& worker) {
    worker.draining().go_on({{kDrain, 1}}, [&](const Draining::Progress&) { first.set_value(); });
    worker.draining().go_on({{kDrain, 1}}, [second](const Draining::Progress&) { ++*second; });
  });
  EXPECT_EQ(second.use_count(), 1) << "the second step is kept although the first is under way";
  first.get_future().wait();
  EXPECT_EQ(*second, 0);
}

TEST_F(DrainingTest, AnswersAtOnceWhereADrainHasNoConnection) {
  busy_.run([](Worker& worker) {
    bool answered = false;
    worker.draining().go_on({{kDrain, 0}}, [&](const Draining::Progress& of) {
      EXPECT_EQ(of.at(kDrain).remaining, 0U);
      answered = true;
    });
    EXPECT_TRUE(answered);
    EXPECT_EQ(alive(worker), kConnections);
  });
}

}  // namespace
}  // namespace headgate
