#include "admin/answer_threads.h"

#include <future>
#include <memory>

#include <gtest/gtest.h>

namespace headgate {
namespace {

TEST(AnswerThreads, RunJobsAndRefuseMoreThanTheirNumberWaiting) {
  AnswerThreads threads({.threads = 1, .waiting = 2});
  ASSERT_TRUE(threads.start("test"));
  std::promise<void> begun, go;
  const auto may_go = go.get_future().share();
  std::promise<int> done;
  ASSERT_TRUE(threads.offer([&] {
    begun.set_value();
    may_go.wait();
  }));
  begun.get_future().wait();
  EXPECT_TRUE(threads.offer([] {}));
  EXPECT_TRUE(threads.offer([&] { done.set_value(7); }));
  EXPECT_FALSE(threads.offer([] {}));
  go.set_value();
  EXPECT_EQ(done.get_future().get(), 7);
}

TEST(AnswerThreads, DropTheJobsThatWaitWhenTheyEnd) {
  auto dropped = std::make_shared<int>(1);
  std::promise<void> begun, go;
  AnswerThreads threads({.threads = 1, .waiting = 2});
  ASSERT_TRUE(threads.start("test"));
  ASSERT_TRUE(threads.offer([&] {
    begun.set_value();
    go.get_future().wait();
  }));
  begun.get_future().wait();
  ASSERT_TRUE(threads.offer([dropped] { ADD_FAILURE() << "a job ran after the end"; }));
  auto closing = std::async(std::launch::async, [&] { threads.close(); });
  while (dropped.use_count() > 1) std::this_thread::yield();
  EXPECT_FALSE(threads.offer([] {}));
  go.set_value();
  closing.get();
}

}  // namespace
}  // namespace headgate
