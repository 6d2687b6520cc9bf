#include "backend/place_queue.h"

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "backend/group.h"

namespace headgate {
namespace {

class PlaceQueueTest : public testing::Test {
 protected:
  std::unique_ptr<PlaceQueue::Position> join(char name, const BackendGroup& line, std::size_t most = 10) {
    return queue_.join(line, most, [this, name] { woken_ += name; });
  }
  /// The connections that were woken since the last call.
  std::string woken() { return std::exchange(woken_, {}); }

  PlaceQueue queue_;
  std::string woken_;
  BackendGroup line_, other_line_;
};

TEST_F(PlaceQueueTest, WakesTheConnectionThatHasWaitedLongest) {
  const auto a = join('a', line_);
  auto b = join('b', line_);
  EXPECT_TRUE(a->may_try());
  EXPECT_FALSE(b->may_try());
  queue_.place_may_be_free();
  EXPECT_EQ(woken(), "a");
}

TEST_F(PlaceQueueTest, WakesTheNextWhenTheFirstLeavesWhateverForAndNobodyWhenAnotherLeaves) {
  auto a = join('a', line_);
  auto b = join('b', line_);
  const auto c = join('c', line_);
  b.reset();
  EXPECT_EQ(woken(), "");
  a.reset();
  EXPECT_EQ(woken(), "c");
  EXPECT_TRUE(c->may_try());
}

TEST_F(PlaceQueueTest, AsksTheHoldersOfSparesForTheirPlacesWhileThereAreAny) {
  auto one = queue_.add_spare_holder([this] { woken_ += '1'; });
  const auto other = queue_.add_spare_holder([this] { woken_ += '2'; });
  queue_.ask_for_places_of_spares();
  EXPECT_EQ(woken(), "12");
  one.reset();
  queue_.ask_for_places_of_spares();
  EXPECT_EQ(woken(), "2");
}

TEST_F(PlaceQueueTest, HasRoomForAsManyAsMayWait) {
  auto a = join('a', line_, 2);
  const auto b = join('b', line_, 2);
  EXPECT_EQ(join('c', line_, 2), nullptr);
  EXPECT_EQ(join('c', line_, 1), nullptr);
  a.reset();
  EXPECT_NE(join('c', line_, 2), nullptr);
}

TEST_F(PlaceQueueTest, CountsNoneThatMayHaveItsPlaceAlready) {
  const auto a = join('a', line_, 1);
  EXPECT_TRUE(a->may_try());
  const auto b = join('b', line_, 1);
  EXPECT_NE(b, nullptr);
  EXPECT_FALSE(b->may_try());
  EXPECT_EQ(join('c', line_, 1), nullptr);
  a->stays();
  EXPECT_EQ(join('c', line_, 2), nullptr);
}

TEST_F(PlaceQueueTest, IsEmptyOnceAllHaveLeft) {
  EXPECT_FALSE(queue_.has_waiting(line_));
  auto a = join('a', line_);
  EXPECT_TRUE(queue_.has_waiting(line_));
  EXPECT_FALSE(queue_.has_waiting(other_line_));
  a.reset();
  EXPECT_FALSE(queue_.has_waiting(line_));
  queue_.place_may_be_free();
  EXPECT_EQ(woken(), "");
}

TEST_F(PlaceQueueTest, KeepsALineForEachConfiguration) {
  const auto old = join('o', line_);
  const auto fresh = join('f', other_line_, 1);
  ASSERT_NE(fresh, nullptr) << "connections of another configuration take no room";
  EXPECT_TRUE(fresh->may_try());
  queue_.place_may_be_free();
  EXPECT_EQ(woken().size(), 2U);
}

// Places are taken and given back by several threads at once. No place may stay free while a connection
// waits.
TEST(PlaceQueue, LosesNoPlaceBetweenThreads) {
  constexpr int kThreads = 4, kRounds = 2000;
  ServerDirectory directory;
  config::Backend config;
  config.name = "app";
  config.servers.emplace_back().address = "127.0.0.1:1";
  const auto group = BackendGroup::build(config, directory).value();
  ServerState& server = *group->servers[0].state;
  std::atomic<int> served{0};
  const auto work = [&] {
    for (int round = 0; round < kRounds; ++round) {
      std::atomic<bool> woken{true};
      const auto position = group->queue->join(*group, kThreads, [&woken] {
        woken.store(true);
        woken.notify_one();
      });
      while (!position->may_try() || !server.take_place(1)) {
        woken.wait(false);
        woken.store(false);
      }
      ++served;
      server.give_place_back();
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(served, kThreads * kRounds);
  EXPECT_EQ(server.places_taken(), 0U);
}

}  // namespace
}  // namespace headgate
