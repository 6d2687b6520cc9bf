#include "base/time_slice.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <thread>

#include <gtest/gtest.h>

namespace headgate {
namespace {

using namespace std::chrono_literals;

std::atomic<int> interruptions = 0;
std::atomic<int> interrupted_thread = 0;

// Takes the place of the handler that yields.
void count_interruptions() {
  struct sigaction action = {};
  action.sa_handler = [](int) {
    interrupted_thread = ::gettid();
    ++interruptions;
  };
  ::sigaction(SIGURG, &action, nullptr);
}

bool come_true(auto condition) {
  const auto latest = std::chrono::steady_clock::now() + 20s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > latest) return false;
  }
  return true;
}

// A thread of its own has its own mask of signals.
void in_a_thread(auto body) {
  std::thread(body).join();
}

TEST(RegularYieldsTest, InterruptsTheComputingThreadAgainAndAgain) {
  in_a_thread([] {
    RegularYields yields;
    count_interruptions();
    interruptions = 0;
    yields.begin();
    EXPECT_TRUE(come_true([] { return interruptions >= 5; }));
    EXPECT_EQ(interrupted_thread, ::gettid());
    yields.end();
  });
}

TEST(RegularYieldsTest, InterruptsNothingOnceItHasEnded) {
  in_a_thread([] {
    RegularYields yields;
    count_interruptions();
    yields.begin();
    EXPECT_TRUE(come_true([] { return interruptions > 0; }));
    yields.end();
    const int before = interruptions;
    std::this_thread::sleep_for(5ms);
    EXPECT_EQ(interruptions, before);
  });
}

TEST(RegularYieldsTest, KeepsErrnoOfTheInterruptedComputation) {
  in_a_thread([] {
    const RegularYields yields;
    errno = EDOM;
    ::raise(SIGURG);
    EXPECT_EQ(errno, EDOM);
  });
}

TEST(RegularYieldsTest, InterruptsAThreadThatBlocksAllOtherSignals) {
  in_a_thread([] {
    sigset_t all;
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, nullptr);
    RegularYields yields;
    count_interruptions();
    interruptions = 0;
    yields.begin();
    EXPECT_TRUE(come_true([] { return interruptions > 0; }));
  });
}

}  // namespace
}  // namespace headgate
