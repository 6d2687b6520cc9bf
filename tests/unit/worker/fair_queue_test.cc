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
  FairQueue queue;
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
      queue.take(FairQueue::Order::kNewestFirst);
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

}  // namespace
}  // namespace headgate::test
