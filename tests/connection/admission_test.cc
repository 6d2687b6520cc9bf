#include "worker/admission.h"

#include <algorithm>

#include "connection/fixture.h"

namespace headgate::test {
namespace {

/// The queue in front of a lane whose room a test opens step by step, so that each serve() gives one turn.
/// Its turns belong to one connection that waits for a hello: being driven changes nothing for it.
class AdmissionTest : public ConnectionTest {
 protected:
  struct Lane final : SlowLane {
    bool room = true;
    std::size_t granted_before = 0;
    std::vector<Turn>* turns = nullptr;
    [[nodiscard]] bool has_room() const override { return room && granted() == granted_before; }
    [[nodiscard]] std::size_t granted() const {
      return static_cast<std::size_t>(
          std::count_if(turns->begin(), turns->end(), [](const Turn& turn) { return turn.granted; }));
    }
  };

  AdmissionTest() {
    lane.turns = &queued;
    start();
    for (Turn& turn : queued) {
      turn.owner = connection.get();
      turn.beside_the_loop = true;
    }
  }
  ~AdmissionTest() override {
    for (Turn& turn : queued) admission.withdraw(turn);
  }
  void ask(std::size_t which, Work work, Duration ago = {}) {
    queued[which].work = work;
    admission.request(queued[which]);
    queued[which].asked -= ago;
  }
  /// Which turn is given next; -1: none.
  int next() {
    std::vector<bool> before;
    for (const Turn& turn : queued) before.push_back(turn.granted);
    lane.granted_before = lane.granted();
    admission.serve();
    for (std::size_t i = 0; i < queued.size(); ++i) {
      if (queued[i].granted != before[i]) return static_cast<int>(i);
    }
    return -1;
  }

  std::vector<Turn> queued = std::vector<Turn>(3);
  Lane lane;
  Admission admission{lane, metrics.loop(0)};
};

TEST_F(AdmissionTest, ServesResumedHandshakesBeforeFullOnes) {
  ask(0, Work::kFull);
  ask(1, Work::kResumed);
  EXPECT_EQ(next(), 1);
  EXPECT_EQ(next(), 0);
}

TEST_F(AdmissionTest, ServesInTheOrderOfAskingWhileTheQueueIsYoung) {
  ask(2, Work::kFull);
  ask(0, Work::kFull);
  ask(1, Work::kFull);
  EXPECT_EQ(next(), 2);
  EXPECT_EQ(next(), 0);
  EXPECT_EQ(next(), 1);
}

TEST_F(AdmissionTest, ServesTheNewestFirstOnceTheQueueIsOlderThanPatience) {
  ask(0, Work::kFull, Admission::kPatience + 100ms);
  ask(1, Work::kFull, Admission::kPatience + 50ms);
  ask(2, Work::kFull);
  EXPECT_EQ(next(), 2);
  EXPECT_EQ(next(), 1);
  EXPECT_EQ(next(), 0);
}

TEST_F(AdmissionTest, RefusesWhatIsStaleBeforeAnythingIsPaidForIt) {
  ask(0, Work::kFull, Admission::kStale + 1ms);
  EXPECT_EQ(next(), -1);
  EXPECT_FALSE(queued[0].queued);
  EXPECT_END("handshake_shed");
}

TEST_F(AdmissionTest, KeepsTurnsWaitingWhileTheOtherThreadHasNoRoom) {
  lane.room = false;
  ask(0, Work::kFull);
  EXPECT_EQ(next(), -1);
  EXPECT_TRUE(queued[0].queued);
  lane.room = true;
  EXPECT_EQ(next(), 0);
}

TEST_F(AdmissionTest, GivesNoTurnToWhoHasLeftTheQueue) {
  ask(0, Work::kFull);
  ask(1, Work::kFull);
  admission.withdraw(queued[0]);
  EXPECT_EQ(next(), 1);
  EXPECT_EQ(next(), -1);
  EXPECT_EQ(metrics.loop(0).handshakes_queued.value(), 0);
}

TEST_F(AdmissionTest, ServesTheLoopsOwnTurnsWhateverTheOtherThreadDoes) {
  lane.room = false;
  ask(0, Work::kFull);
  queued[1].beside_the_loop = false;
  ask(1, Work::kFull);
  while (admission.serve()) {
  }
  EXPECT_TRUE(queued[1].granted);
  EXPECT_FALSE(queued[0].granted);
}

TEST_F(AdmissionTest, EndsTheHandshakeThatBeganFirstWhenThereAreTooMany) {
  admission.begin(*connection, 1);
  EXPECT_FALSE(connection->is_buried());
  admission.begin(*connection, 1);
  EXPECT_END("handshake_shed");
  admission.over(*connection);
}

}  // namespace
}  // namespace headgate::test
