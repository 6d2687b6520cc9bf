#include "supervisor/state_dump.h"

#include <functional>
#include <future>

#include <gtest/gtest.h>

#include "unit/worker/busy_worker.h"
#include "worker/connection_walk.h"

namespace headgate {
namespace {

TEST(StateDump, CountsNoMoreThanASliceInOneTurn) {
  constexpr std::size_t kConnections = 5000;
  test::BusyWorker busy;
  busy.add_connections(kConnections);
  std::size_t turns = 0;
  bool counting = true;
  // A message that posts itself runs once in each turn of the loop.
  std::function<void()> each_turn = [&] {
    ++turns;
    if (counting) busy.worker().post(each_turn);
  };
  PhaseCounts found;
  std::promise<std::size_t> turns_taken;
  busy.run([&](Worker& worker) {
    each_turn();
    count_phases(worker, [&](const PhaseCounts& counts) {
      found = counts;
      turns_taken.set_value(turns);
    });
  });
  EXPECT_GE(turns_taken.get_future().get(), kConnections / ConnectionWalk::kSliceCost);
  busy.run([&](Worker&) { counting = false; });
  busy.run([](Worker&) {});
  EXPECT_EQ(found, (PhaseCounts{{"accept", kConnections}}));
}

}  // namespace
}  // namespace headgate
