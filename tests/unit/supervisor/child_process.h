#pragma once

#include <sys/wait.h>

#include <chrono>
#include <thread>

#include "supervisor/sandbox.h"

namespace headgate {

/// Waits for the end of `child`, and returns its exit code; -1 where a signal ended it.
inline int exit_code_of(pid_t child) {
  int status = 0;
  return ::waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// Whether a sanitizer runs a thread of its own in this process. That thread comes with the first other one,
/// which the kernel may still list for a moment after its end.
inline bool sanitizer_runs_a_thread() {
  std::thread([] {}).join();
  for (int i = 0; i < 100; ++i) {
    if (check_that_no_other_thread_runs()) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

}  // namespace headgate
