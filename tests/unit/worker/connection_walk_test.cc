#include "worker/connection_walk.h"

#include <future>
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "unit/worker/busy_worker.h"

namespace headgate {
namespace {

/// Walks over all connections of `busy` and waits for the end.
void walk(test::BusyWorker& busy, const ConnectionWalk::Visit& visit) {
  std::promise<void> over;
  busy.worker().post([&] { ConnectionWalk::begin(busy.worker(), visit, [&] { over.set_value(); }); });
  over.get_future().wait();
}

TEST(ConnectionWalk, LooksAtEveryConnectionOnce) {
  test::BusyWorker busy;
  busy.add_connections(5000);
  std::map<std::uint64_t, int> looks;
  walk(busy, [&](const Connection& connection) {
    ++looks[connection.info().id];
    return std::size_t{0};
  });
  EXPECT_EQ(looks.size(), 5000U);
  for (const auto& [id, count] : looks) EXPECT_EQ(count, 1) << id;
}

TEST(ConnectionWalk, IsOverAtOnceWhereThereIsNoConnection) {
  test::BusyWorker busy;
  int looks = 0;
  walk(busy, [&](const Connection&) { return static_cast<std::size_t>(++looks); });
  EXPECT_EQ(looks, 0);
}

TEST(ConnectionWalk, LeavesTheLoopToOthersAfterEachSlice) {
  test::BusyWorker busy;
  busy.add_connections(5000);
  std::size_t in_slice = 0, most_in_slice = 0, slices = 0;
  // A message that posts itself runs once in each turn of the loop.
  bool over = false;
  std::function<void()> each_turn = [&] {
    most_in_slice = std::max(most_in_slice, in_slice);
    in_slice = 0;
    ++slices;
    if (!over) busy.worker().post(each_turn);
  };
  busy.worker().post(each_turn);
  walk(busy, [&](const Connection&) {
    ++in_slice;
    return std::size_t{3};
  });
  busy.run([&](Worker&) { over = true; });
  busy.run([](Worker&) {});
  EXPECT_LE(most_in_slice, ConnectionWalk::kSliceCost / 4);
  EXPECT_GE(slices, 5000 / (ConnectionWalk::kSliceCost / 4));
}

// Each connection that ends moves the last one of the list to its place.
TEST(ConnectionWalk, MissesNoneThatStaysWhileOthersEndAndCome) {
  test::BusyWorker busy;
  busy.add_connections(5000);
  std::set<std::uint64_t> seen;
  std::uint32_t random = 1;
  walk(busy, [&](const Connection& connection) {
    seen.insert(connection.info().id);
    const auto& all = busy.worker().connections();
    random = random * 1664525 + 1013904223;
    if (seen.size() % 2 == 0) all[random % all.size()]->end(CloseReason::kCut);
    return std::size_t{9};
  });
  std::size_t stayed = 0;
  busy.run([&](Worker& worker) {
    for (const auto& connection : worker.connections()) {
      if (connection->is_buried()) continue;
      ++stayed;
      EXPECT_TRUE(seen.contains(connection->info().id)) << connection->info().id;
    }
  });
  EXPECT_GT(stayed, 1000U);
  EXPECT_LT(stayed, 4000U);
}

}  // namespace
}  // namespace headgate
