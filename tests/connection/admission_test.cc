#include "worker/admission.h"

#include <algorithm>
#include <deque>
#include <functional>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "snapshot/shared_counters.h"

namespace headgate::test {
namespace {

constexpr HandshakeCost kFull{.work = HandshakeWork::kFull};
constexpr HandshakeCost kResume{.work = HandshakeWork::kResume};
constexpr HandshakeCost kFinish{.work = HandshakeWork::kFinish};
constexpr HandshakeCost kOffloaded{
    .work = HandshakeWork::kFull, .key = KeyType::kRsa, .key_bits = 4096, .offloaded = true};

using testing::ElementsAre;
using namespace std::chrono_literals;

/// The queue of a worker, and connections that record the answers of the queue.
class AdmissionTest : public testing::Test {
 protected:
  struct Room final : OffloadRoom {
    int left = 1'000'000;
    [[nodiscard]] bool has_room() const override { return left > 0; }
  };
  struct Asked final : PermitRequest, PermitOwner {
    Asked(AdmissionTest& in, int its_number) : test(in), number(its_number) { owner = this; }
    void permit_granted() override {
      test.order.push_back(number);
      test.on_grant();
    }
    void permit_refused() override { test.refused.push_back(number); }
    void shed() override {
      test.shed.push_back(number);
      test.admission.withdraw(*this);
    }
    AdmissionTest& test;
    int number;
  };

  ~AdmissionTest() override {
    for (Asked& request : asked) admission.withdraw(request);
  }

  /// Queues a request, and returns its number.
  int ask(const HandshakeCost& cost, SourceNetwork source = 1, int listener = 0, Duration ago = {}) {
    Asked& request = asked.emplace_back(*this, static_cast<int>(asked.size()));
    request.listener = &listeners.at(static_cast<std::size_t>(listener));
    request.source = source;
    request.cost = cost;
    admission.request(request);
    request.asked -= ago;
    return request.number;
  }
  /// Serves until the queue grants nothing more; returns the numbers of the granted requests, in the order of
  /// granting.
  std::vector<int> serve() {
    order.clear();
    std::size_t before = 0;
    do {
      before = order.size();
      admission.serve();
    } while (order.size() > before);
    return order;
  }
  /// How many requests were granted before `number`.
  [[nodiscard]] std::ptrdiff_t place_of(int number) const {
    return std::ranges::find(order, number) - order.begin();
  }

  std::vector<int> order, refused, shed;
  std::function<void()> on_grant = [] {};
  std::deque<SharedCounters> listeners = std::deque<SharedCounters>(2);
  std::deque<Asked> asked;
  Room room;
  LoopMetrics metrics;
  Admission admission{room, metrics, 7};
};

TEST_F(AdmissionTest, ServesWhatHasBeenPaidForThenTicketsThenFullHandshakes) {
  ask(kFull);
  ask(kResume);
  ask(kFinish);
  EXPECT_THAT(serve(), ElementsAre(2, 1, 0));
}

TEST_F(AdmissionTest, TheOtherThreadServesWhatHasBeenPaidForFirstToo) {
  HandshakeCost finish = kOffloaded;
  finish.work = HandshakeWork::kFinish;
  ask(kOffloaded);
  ask(finish);
  EXPECT_THAT(serve(), ElementsAre(1, 0));
}

TEST_F(AdmissionTest, ServesASourceInTheOrderOfAskingWhileTheQueueIsYoung) {
  ask(kFull);
  ask(kFull);
  ask(kFull);
  EXPECT_THAT(serve(), ElementsAre(0, 1, 2));
}

TEST_F(AdmissionTest, ServesTheNewestFirstOnceTheQueueIsOlderThanPatience) {
  ask(kFull, 1, 0, Admission::kPatience + 100ms);
  ask(kFull, 1, 0, Admission::kPatience + 50ms);
  ask(kFull);
  EXPECT_THAT(serve(), ElementsAre(2, 1, 0));
}

TEST_F(AdmissionTest, ASourceThatAsksOftenWaitsForThoseThatAskOnce) {
  for (int i = 0; i < 9; ++i) ask(kFull, 1);
  const int honest = ask(kFull, 2);
  serve();
  EXPECT_LE(place_of(honest), 1);
}

TEST_F(AdmissionTest, SourcesThatAskOftenShareAlike) {
  for (int i = 0; i < 8; ++i) ask(kFull, 1);
  for (int i = 0; i < 4; ++i) ask(kFull, 2);
  serve();
  const auto of_second =
      std::ranges::count_if(order.begin(), order.begin() + 8, [](int one) { return one >= 8; });
  EXPECT_EQ(of_second, 4);
}

TEST_F(AdmissionTest, AListenerUnderAFloodLeavesAnotherItsHalf) {
  for (SourceNetwork source = 10; source < 30; ++source) ask(kFull, source, 0);
  const int first = ask(kFull, 1, 1);
  const int second = ask(kFull, 2, 1);
  serve();
  EXPECT_LE(place_of(first), 1);
  EXPECT_LE(place_of(second), 3);
}

TEST_F(AdmissionTest, FullHandshakesGetTheirPartWhileTicketsFlood) {
  for (int i = 0; i < 40; ++i) ask(kResume, 1);
  const int full = ask(kFull, 2);
  serve();
  EXPECT_LT(place_of(full), 10);
}

TEST_F(AdmissionTest, AFloodOfNewSourcesDoesNotStarveThoseServedBefore) {
  ask(kFull, 1);
  ask(kFull, 1);
  serve();
  for (SourceNetwork source = 10; source < 60; ++source) ask(kFull, source);
  const int returning = ask(kFull, 1);
  serve();
  EXPECT_LT(place_of(returning), 12);
}

TEST_F(AdmissionTest, RefusesWhatIsStaleBeforeAnythingIsPaidForIt) {
  ask(kFull, 1, 0, Admission::kStale + 1ms);
  EXPECT_THAT(serve(), ElementsAre());
  EXPECT_FALSE(asked.front().queued);
  EXPECT_THAT(refused, ElementsAre(0));
}

TEST_F(AdmissionTest, KeepsOffloadedSignaturesWaitingWhileTheOtherThreadHasNoRoom) {
  room.left = 0;
  const int offloaded = ask(kOffloaded);
  const int own = ask(kFull);
  EXPECT_THAT(serve(), ElementsAre(own));
  room.left = 1;
  EXPECT_THAT(serve(), ElementsAre(offloaded));
}

// A permit for the other thread need not end in a signature, so it does not fill the room.
TEST_F(AdmissionTest, GrantsForTheOtherThreadKeepToTheSliceToo) {
  for (int i = 0; i < 2000; ++i) ask(kOffloaded);
  on_grant = [] {
    const TimePoint end = Clock::now() + 50us;
    while (Clock::now() < end) {
    }
  };
  admission.serve();
  EXPECT_TRUE(admission.has_work()) << "the loop must not sleep";
  EXPECT_LT(order.size(), 100U);
}

/// Steps that are longer than a slice: each call of serve() grants one.
class OneGrantInATurnTest : public AdmissionTest {
 protected:
  OneGrantInATurnTest() {
    on_grant = [] {
      const TimePoint end = Clock::now() + Admission::kSlice;
      while (Clock::now() < end) {
      }
    };
  }
  void serve_turns(int turns) {
    for (int i = 0; i < turns; ++i) {
      admission.serve();
      EXPECT_TRUE(admission.has_work()) << "the loop must not sleep";
    }
    ASSERT_EQ(order.size(), static_cast<std::size_t>(turns));
  }
};

// A question at the end of each turn whether permits are left had moved the order on, so that the kind whose
// turn it was never came first.
TEST_F(OneGrantInATurnTest, TheLoopAndTheOtherThreadTakeTurns) {
  for (int i = 0; i < 6; ++i) ask(kFull);
  for (int i = 0; i < 6; ++i) ask(kOffloaded);
  serve_turns(8);
  const auto of_loop = std::ranges::count_if(order, [](int one) { return one < 6; });
  EXPECT_EQ(of_loop, 4);
}

TEST_F(OneGrantInATurnTest, FullHandshakesGetTheirPartAndNoMoreWhileTicketsFlood) {
  for (int i = 0; i < 20; ++i) ask(kResume);
  for (int i = 0; i < 20; ++i) ask(kFull);
  serve_turns(16);
  const auto full = std::ranges::count_if(order, [](int one) { return one >= 20; });
  EXPECT_EQ(full, 4);
}

TEST_F(AdmissionTest, GrantsNothingToARequestThatHasLeftTheQueue) {
  ask(kFull);
  const int second = ask(kFull);
  admission.withdraw(asked.front());
  EXPECT_THAT(serve(), ElementsAre(second));
  EXPECT_EQ(metrics.handshakes_queued.value(), 0);
}

/// Handshakes in progress, which leave when they are ended.
class PlacesTest : public AdmissionTest {
 protected:
  struct Place final : HandshakePlace, PermitOwner {
    explicit Place(PlacesTest& in) : test(in) { owner = this; }
    void permit_granted() override {}
    void permit_refused() override {}
    void shed() override {
      is_shed = true;
      test.admission.over(*this);
    }
    PlacesTest& test;
    bool is_shed = false;
  };
  ~PlacesTest() override {
    for (Place& place : places) {
      if (!place.is_shed) admission.over(place);
    }
  }
  Place& begin(SourceNetwork source, int listener, std::uint32_t most) {
    Place& place = places.emplace_back(*this);
    place.source = source;
    place.listener = &listeners.at(static_cast<std::size_t>(listener));
    admission.begin(place, most);
    return place;
  }
  std::deque<Place> places;
};

TEST_F(PlacesTest, EndsTheHandshakeThatBeganFirstWhenThereAreTooMany) {
  const Place& first = begin(1, 0, 1);
  EXPECT_FALSE(first.is_shed);
  const Place& second = begin(2, 0, 1);
  EXPECT_TRUE(first.is_shed);
  EXPECT_FALSE(second.is_shed);
}

TEST_F(PlacesTest, OneListenersHandshakesDoNotCountAgainstAnothers) {
  const Place& first = begin(1, 0, 1);
  begin(1, 1, 1);
  EXPECT_FALSE(first.is_shed);
}

TEST_F(PlacesTest, ASourceWithMoreHandshakesThanTheOldestEndsItsOwn) {
  const Place& honest = begin(1, 0, 3);
  const Place& first_of_many = begin(2, 0, 3);
  begin(2, 0, 3);
  begin(2, 0, 3);
  EXPECT_FALSE(honest.is_shed);
  EXPECT_TRUE(first_of_many.is_shed);
}

// The source that has all the other places need not be the newcomer's.
TEST_F(PlacesTest, TheSourceWithTheMostHandshakesMakesRoomForTheOthers) {
  const Place& honest = begin(1, 0, 4);
  for (int i = 0; i < 20; ++i) begin(2, 0, 4);
  const Place& newcomer = begin(3, 0, 4);
  EXPECT_FALSE(honest.is_shed);
  EXPECT_FALSE(newcomer.is_shed);
  const auto left = std::ranges::count_if(places, [](const Place& place) { return !place.is_shed; });
  EXPECT_EQ(left, 4);
}

TEST_F(PlacesTest, AHandshakeThatHasNotBeenPaidForMakesRoomForOneThatHas) {
  const Place& paid = begin(1, 0, 2);
  begin(2, 0, 2);
  const int unpaid = ask(kFull, 2);
  begin(3, 0, 2);
  EXPECT_FALSE(paid.is_shed);
  EXPECT_THAT(shed, ElementsAre(unpaid));
}

// So those that are left are those that are granted first in an overload.
TEST_F(PlacesTest, TheWorstLotMakesRoom) {
  constexpr std::uint32_t kWaiting = 200;
  for (std::uint32_t i = 0; i < kWaiting; ++i) {
    begin(i, 0, kWaiting);
    ask(kFull, i);
  }
  for (std::uint32_t i = 0; i < kWaiting / 2; ++i) begin(1000 + i, 0, kWaiting + i);
  ASSERT_EQ(shed.size(), static_cast<std::size_t>(kWaiting / 2));
  std::uint8_t best_of_shed = 255, worst_of_kept = 0;
  for (const Asked& each : asked) {
    if (each.queued) {
      worst_of_kept = std::max(worst_of_kept, each.lot);
    } else {
      best_of_shed = std::min(best_of_shed, each.lot);
    }
  }
  EXPECT_LE(worst_of_kept, best_of_shed);
}

}  // namespace
}  // namespace headgate::test
