#include "supervisor/inherited_counters.h"

#include <gtest/gtest.h>

namespace headgate {
namespace {

constexpr auto kFinished = static_cast<std::size_t>(CloseReason::kFinished);
constexpr auto kMoved = static_cast<std::size_t>(CloseReason::kMoved);

std::uint64_t accepted(const MetricsRegistry& registry, const std::string& listener) {
  std::uint64_t sum = 0;
  for (const auto& entry : registry.listeners()) {
    if (entry.listener == listener) sum += entry.metrics->accepted.value();
  }
  return sum;
}

TEST(InheritedCounters, AddUpOverAllWorkersAndCarryOn) {
  MetricsRegistry before, after;
  before.listener(0, "web").accepted.add(3);
  before.listener(1, "web").accepted.add(4);
  before.listener(1, "mail in").accepted.add(5);
  StateBoard board;
  inherit_counters(counters_to_leave(before, {}), after, board);
  after.listener(0, "web").accepted.add();
  EXPECT_EQ(accepted(after, "web"), 8U);
  EXPECT_EQ(accepted(after, "mail in"), 5U);
}

TEST(InheritedCounters, AreTheSameAfterTwoUpgradesInARow) {
  MetricsRegistry first, second, third;
  first.listener(0, "web").closed[kFinished].add(9);
  first.listener(0, "web").handshakes[0][1].add(2);
  first.listener(0, "web").bytes[1].add(5000);
  first.listener(0, "web").spliced_bytes[1].add(4000);
  first.listener(0, "web").splice_events[0].add(1);
  StateBoard board;
  inherit_counters(counters_to_leave(first, {}), second, board);
  EXPECT_EQ(counters_to_leave(second, {}), counters_to_leave(first, {}));
  inherit_counters(counters_to_leave(second, {}), third, board);
  EXPECT_EQ(counters_to_leave(third, {}), counters_to_leave(first, {}));
  std::uint64_t spliced_bytes = 0;
  for (const auto& entry : third.listeners()) spliced_bytes += entry.metrics->spliced_bytes[1].value();
  EXPECT_EQ(spliced_bytes, 4000U);
}

TEST(InheritedCounters, DoNotCountMovedConnectionsAsClosed) {
  MetricsRegistry before;
  before.listener(0, "web").closed[kMoved].add(7);
  for (const auto& line : counters_to_leave(before, {})) EXPECT_EQ(line.find("web"), line.npos) << line;
}

TEST(InheritedCounters, KeepReloadsAndHandOvers) {
  ProcessState state;
  state.reload.ok = 4;
  state.handover[{"left", "record_layer"}] = 2;
  state.handovers_ok = 6;
  state.handovers_failed = 7;
  MetricsRegistry registry;
  StateBoard board;
  inherit_counters(counters_to_leave(registry, state), registry, board);
  EXPECT_EQ(board.copy().reload.ok, 4U);
  EXPECT_EQ(board.copy().handover, state.handover);
  EXPECT_EQ(board.copy().handovers_ok, 6U);
  EXPECT_EQ(board.copy().handovers_failed, 7U);
}

TEST(InheritedCounters, SkipWhatTheyDoNotUnderstand) {
  MetricsRegistry registry;
  StateBoard board;
  inherit_counters({"", " ", "accepted", "accepted x web", "of_tomorrow 4 web", "accepted 6 web"}, registry,
                   board);
  EXPECT_EQ(accepted(registry, "web"), 6U);
}

}  // namespace
}  // namespace headgate
