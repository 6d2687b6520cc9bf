#include "metrics/history.h"

#include <gtest/gtest.h>

namespace headgate {
namespace {

/// Steps a history through time.
class HistoryTest : public testing::Test {
 protected:
  void step() { history.step(now += History::kStep, wall += History::kStep); }
  [[nodiscard]] std::vector<HistoryStep> steps(const std::string& listener = "") const {
    return history.steps(listener).value_or(std::vector<HistoryStep>{});
  }
  [[nodiscard]] std::uint64_t full(const HistoryStep& step) const {
    return step.handshakes[static_cast<std::size_t>(HandshakeOutcome::kFull)];
  }
  void count_full(const std::string& listener, std::uint64_t count, int worker = 0) {
    registry.listener(worker, listener)
        .handshakes[static_cast<std::size_t>(HandshakeResult::kOk)][0]
        .add(count);
  }
  void count_end(const std::string& listener, CloseReason reason, std::uint64_t count = 1) {
    registry.listener(0, listener).closed[static_cast<std::size_t>(reason)].add(count);
  }

  MetricsRegistry registry;
  History history{registry};
  TimePoint now{};
  WallTime wall{};
};

TEST_F(HistoryTest, IsEmptyAtFirst) {
  EXPECT_TRUE(history.steps("")->empty());
  EXPECT_FALSE(history.steps("web"));
  count_full("web", 7);
  step();
  EXPECT_TRUE(history.steps("")->empty()) << "the counts of the process before an upgrade are no event";
  EXPECT_TRUE(history.steps("web")->empty());
}

TEST_F(HistoryTest, HasTheDifferencesOfAllWorkersForEachListenerAndTheProcess) {
  count_full("web", 5);
  count_full("mail", 1);
  step();
  count_full("web", 2);
  count_full("web", 3, 1);
  count_full("mail", 4);
  registry.listener(0, "web").active.add(6);
  registry.listener(0, "web").bytes[static_cast<std::size_t>(Direction::kToClient)].add(100);
  step();
  ASSERT_EQ(steps("web").size(), 1U);
  EXPECT_EQ(full(steps("web")[0]), 5U);
  EXPECT_EQ(full(steps("mail")[0]), 4U);
  EXPECT_EQ(full(steps()[0]), 9U);
  EXPECT_EQ(steps()[0].open, 6U);
  EXPECT_EQ(steps()[0].bytes[static_cast<std::size_t>(Direction::kToClient)], 100U);
  EXPECT_EQ(steps()[0].ended, wall);
  EXPECT_EQ(steps()[0].length, History::kStep);
}

TEST_F(HistoryTest, TakesNoStepBeforeItsTime) {
  count_full("web", 1);
  step();
  step();
  history.step(now + History::kStep - std::chrono::milliseconds(1), wall);
  EXPECT_EQ(steps().size(), 1U);
}

TEST_F(HistoryTest, HasTheOutcomesOfHandshakes) {
  count_full("web", 1);
  step();
  auto& handshakes = registry.listener(0, "web").handshakes;
  handshakes[static_cast<std::size_t>(HandshakeResult::kOk)][1].add(2);
  handshakes[static_cast<std::size_t>(HandshakeResult::kFailed)][0].add(3);
  handshakes[static_cast<std::size_t>(HandshakeResult::kFailed)][1].add(1);
  handshakes[static_cast<std::size_t>(HandshakeResult::kTimeout)][0].add(5);
  handshakes[static_cast<std::size_t>(HandshakeResult::kShed)][0].add(6);
  handshakes[static_cast<std::size_t>(HandshakeResult::kProbe)][0].add(7);
  step();
  const std::array<std::uint64_t, kHandshakeOutcomeCount> expected{0, 2, 4, 5, 6, 7};
  EXPECT_EQ(steps()[0].handshakes, expected);
}

TEST_F(HistoryTest, HasTheMostFrequentEnds) {
  step();
  count_end("web", CloseReason::kFinished);
  step();
  for (std::size_t reason = 0; reason < History::kEnds + 3; ++reason)
    count_end("web", static_cast<CloseReason>(reason), reason + 1);
  step();
  const auto ends = steps()[1].ends;
  ASSERT_EQ(ends.size(), History::kEnds);
  EXPECT_EQ(ends.front().second, History::kEnds + 3);
  EXPECT_EQ(ends.back().second, 4U);
}

TEST_F(HistoryTest, ForgetsAfterAnHour) {
  count_full("web", 1);
  for (std::size_t i = 0; i < History::kSteps + 6; ++i) {
    step();
    count_full("web", i);
  }
  ASSERT_EQ(steps().size(), History::kSteps);
  EXPECT_EQ(full(steps().back()), History::kSteps + 4);
}

TEST_F(HistoryTest, GivesThePlacesOfSilentListenersToOthers) {
  for (std::size_t i = 0; i < History::kListeners; ++i) count_full("busy" + std::to_string(i), 1);
  step();
  for (std::size_t i = 1; i < History::kListeners; ++i) count_full("busy" + std::to_string(i), 1);
  step();
  count_full("new", 3);
  count_full("newer", 1);
  step();
  EXPECT_FALSE(history.steps("busy0")) << "it has had no event";
  EXPECT_TRUE(history.steps("busy1"));
  EXPECT_TRUE(history.steps("new"));
  EXPECT_FALSE(history.steps("newer")) << "all others have had events";
  count_full("new", 2);
  step();
  EXPECT_EQ(full(steps("new").back()), 2U);
}

}  // namespace
}  // namespace headgate
