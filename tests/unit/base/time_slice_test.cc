#include "base/time_slice.h"

#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <thread>

#include <gtest/gtest.h>

#include "base/thread_cpu_time.h"

namespace {

std::atomic<int> calls_of_sched_yield = 0;

}  // namespace

// Takes the place of the C library's function in this program.
extern "C" int sched_yield() noexcept {
  ++calls_of_sched_yield;
  return static_cast<int>(::syscall(SYS_sched_yield));
}

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

void compute_for(std::chrono::nanoseconds cpu_time) {
  const Duration end = thread_cpu_time() + cpu_time;
  while (thread_cpu_time() < end) {
  }
}

// The signals that had come while the thread waited for the processor made it yield as soon as it had it, so
// a busy loop left it hardly any time.
TEST(RegularYieldsTest, LetsAThreadComputeBeforeItYieldsAgain) {
  in_a_thread([] {
    const RegularYields yields;
    const int before = calls_of_sched_yield;
    compute_for(1ms);
    for (int i = 0; i < 10; ++i) ::raise(SIGURG);
    EXPECT_EQ(calls_of_sched_yield, before + 1);
    compute_for(1ms);
    ::raise(SIGURG);
    EXPECT_EQ(calls_of_sched_yield, before + 2);
  });
}

}  // namespace
}  // namespace headgate
