#include "worker/fair_queue.h"

#include <deque>

#include <gtest/gtest.h>

#include "snapshot/shared_counters.h"

namespace headgate::test {
namespace {

using namespace std::chrono_literals;

class FairQueueTest : public testing::Test {
 protected:
  PermitRequest& push(SourceNetwork source, Duration price = 1ms) {
    PermitRequest& request = requests.emplace_back();
    request.listener = &listener;
    request.source = source;
    queue.push(request, price);
    return request;
  }

  SharedCounters listener;
  std::deque<PermitRequest> requests;
  FairQueue queue{7};
};

TEST_F(FairQueueTest, SharesByPriceAndNotByNumber) {
  for (int i = 0; i < 100; ++i) push(1, 1ms);
  for (int i = 0; i < 100; ++i) push(2, 4ms);
  int cheap = 0, dear = 0;
  for (int i = 0; i < 50; ++i) ++(queue.take(FairQueue::Order::kOldestFirst).source == 1 ? cheap : dear);
  EXPECT_GT(cheap, 3 * dear);
  EXPECT_LT(cheap, 6 * dear);
  while (!queue.empty()) queue.take(FairQueue::Order::kOldestFirst);
}

// A flood from ever new addresses that give up, while the newest go first: none of them may be remembered.
TEST_F(FairQueueTest, RemembersNoSourceThatLeftWithoutAGrant) {
  for (SourceNetwork source = 1; source <= 10'000; ++source) {
    PermitRequest& request = push(source);
    if (source % 10 == 0) {
      queue.take(FairQueue::Order::kByLot);
    } else {
      queue.remove(request);
    }
  }
  EXPECT_TRUE(queue.empty());
  EXPECT_LT(queue.remembered_sources(), 50U);
}

TEST_F(FairQueueTest, ForgetsServedSourcesWhileItServesOthers) {
  for (SourceNetwork source = 1; source <= 10'000; ++source) {
    push(source);
    queue.take(FairQueue::Order::kOldestFirst);
  }
  EXPECT_LT(queue.remembered_sources(), 50U);
}

TEST_F(FairQueueTest, ASourceThatWasServedIsNotNewAgainAtOnce) {
  push(1);
  queue.take(FairQueue::Order::kOldestFirst);
  push(1);
  PermitRequest& newcomer = push(2);
  EXPECT_EQ(&queue.take(FairQueue::Order::kOldestFirst), &newcomer);
  queue.take(FairQueue::Order::kOldestFirst);
}

// A HelloRetryRequest is cheap, and so is the next price that is expected of its kind.
TEST_F(FairQueueTest, ASourceWhosePriceIsGuessedTooLowGetsOneGrantBeforeOthers) {
  push(9, 4ms);
  queue.take(FairQueue::Order::kOldestFirst);
  for (int i = 0; i < 40; ++i) push(1, 100us);
  PermitRequest& honest = push(2, 100us);
  queue.take(FairQueue::Order::kOldestFirst);
  EXPECT_EQ(&queue.take(FairQueue::Order::kOldestFirst), &honest);
  while (!queue.empty()) queue.take(FairQueue::Order::kOldestFirst);
}

TEST_F(FairQueueTest, AListenerWhoseRequestsHaveAllLeftIsPassedOver) {
  SharedCounters other;
  PermitRequest& gone = requests.emplace_back();
  gone.listener = &other;
  queue.push(gone, 1ms);
  PermitRequest& left = push(1);
  queue.remove(gone);
  EXPECT_EQ(&queue.take(FairQueue::Order::kOldestFirst), &left);
}

/// Clients of a queue that can serve a quarter of them, period by period of the lots.
class OverloadTest : public testing::Test {
 protected:
  PermitRequest& ask(SourceNetwork source) {
    PermitRequest& request = *asked.emplace_back(std::make_unique<PermitRequest>());
    request.listener = &listener;
    request.source = source;
    request.asked = now;
    queue.push(request, 1ms);
    request.queued = true;
    return request;
  }
  void withdraw(PermitRequest& request) {
    queue.remove(request);
    request.queued = false;
  }
  SourceNetwork serve_one() {
    PermitRequest& request = queue.take(FairQueue::Order::kByLot);
    request.queued = false;
    return request.source;
  }
  /// Those that wait for longer than two periods give up.
  void give_up() {
    while (!asked.empty() && (!asked.front()->queued || asked.front()->asked + 2s < now)) {
      if (asked.front()->queued) queue.remove(*asked.front());
      asked.pop_front();
    }
  }

  static constexpr SourceNetwork kHonest = 1000;  // sources below this are honest
  TimePoint now{1h};
  SharedCounters listener;
  std::deque<std::unique_ptr<PermitRequest>> asked;
  FairQueue queue{7};
  SourceNetwork next_attacker = kHonest;
};

// The honest client is never the newest: three attackers from new addresses ask between it and each grant.
TEST_F(OverloadTest, AFloodFromEverNewSourcesLeavesTheHonestTheirShare) {
  constexpr int kRounds = 8000;
  int served = 0;
  for (int round = 0; round < kRounds; ++round, now += 5ms) {
    ask(static_cast<SourceNetwork>(round) % kHonest);
    for (int i = 0; i < 3; ++i) ask(next_attacker++);
    served += serve_one() < kHonest ? 1 : 0;
    give_up();
  }
  EXPECT_GT(served, kRounds / 6);
  EXPECT_LT(served, kRounds / 2);
}

TEST_F(OverloadTest, ASourceThatAsksAgainAndAgainIsNotServedMoreOften) {
  constexpr int kRounds = 4000;
  constexpr SourceNetwork kHasty = 1, kPatient = 2;
  int hasty = 0, patient = 0;
  for (int round = 0; round < kRounds; ++round, now += 3s) {
    ask(kPatient);
    for (int i = 0; i < 2; ++i) ask(next_attacker++);
    for (int i = 0; i < 20; ++i) withdraw(ask(kHasty));
    ask(kHasty);
    const SourceNetwork served = serve_one();
    hasty += served == kHasty ? 1 : 0;
    patient += served == kPatient ? 1 : 0;
    for (const auto& each : asked) {
      if (each->queued) withdraw(*each);
    }
    asked.clear();
  }
  EXPECT_GT(patient, kRounds / 20);
  EXPECT_LT(hasty, 2 * patient);
}

}  // namespace
}  // namespace headgate::test
