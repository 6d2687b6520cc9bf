#include "supervisor/crash_report.h"

#include <signal.h>

#include <cstdlib>
#include <thread>

#include <gtest/gtest.h>

#include "base/check.h"
#include "base/crash_stack.h"
#include "base/crash_tag.h"
#include "base/thread_signals.h"

namespace headgate {
namespace {

TEST(CrashReportDeathTest, NamesTheSignalAndTheConnection) {
  EXPECT_EXIT(
      {
        install_crash_report();
        CrashTag tag("web", 1234);
        raise(SIGSEGV);
      },
      testing::KilledBySignal(SIGSEGV), "SIGSEGV.*\n.*connection 1234 of listener web");
}

TEST(CrashReportDeathTest, TheInnermostTagCountsAndItsEndBringsTheOuterBack) {
  EXPECT_EXIT(
      {
        install_crash_report();
        CrashTag outer("web", 1);
        {
          CrashTag inner("web", 2);
        }
        std::abort();
      },
      testing::KilledBySignal(SIGABRT), "SIGABRT.*\n.*connection 1 of listener web");
}

TEST(CrashReportDeathTest, AFailedCheckIsReportedToo) {
  EXPECT_EXIT(
      {
        install_crash_report();
        HG_CHECK(1 + 1 == 3);
      },
      testing::KilledBySignal(SIGABRT), "1 \\+ 1 == 3.*\n.*SIGABRT");
}

// The kernel ends a thread that has the signals of its own faults blocked. Then no report would be written.
TEST(CrashReportDeathTest, AThreadThatLeavesSignalsToTheSupervisorReportsItsFaults) {
  EXPECT_EXIT(
      {
        install_crash_report();
        std::thread([] {
          const CrashStack stack;
          block_process_signals();
          const CrashTag mine("web", 7);
          volatile int* volatile nowhere = nullptr;
          *nowhere = 1;
        }).join();
      },
      testing::KilledBySignal(SIGSEGV), "SIGSEGV.*\n.*connection 7 of listener web");
}

TEST(CrashReportDeathTest, AThreadsOwnTagIsShown) {
  EXPECT_EXIT(
      {
        install_crash_report();
        CrashTag tag("of the main thread", 1);
        std::thread([] {
          CrashStack stack;
          CrashTag mine("web", 7);
          std::abort();
        }).join();
      },
      testing::KilledBySignal(SIGABRT), "connection 7 of listener web");
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Winfinite-recursion"
[[gnu::noinline]] int exhaust_stack(volatile char* above) {
  volatile char frame[4096];
  frame[0] = above[0];
  return exhaust_stack(frame) + frame[0];
}
#pragma GCC diagnostic pop

TEST(CrashReportDeathTest, RunningOutOfStackIsReported) {
  EXPECT_EXIT(
      {
        CrashStack stack;
        install_crash_report();
        volatile char first = 0;
        exhaust_stack(&first);
      },
      testing::KilledBySignal(SIGSEGV), "SIGSEGV");
}

}  // namespace
}  // namespace headgate
