#pragma once

#include <signal.h>

/// Which signals belong to whom. Any thread.
namespace headgate {

/// What a thread's own fault raises: reported by the thread itself. The kernel ends the process without a
/// report where the faulting thread has one of them blocked, so no thread blocks them.
inline constexpr int kCrashSignals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};

/// All others: the supervisor's.
[[nodiscard]] sigset_t process_signals();
/// Leaves them to the supervisor's thread: first thing in every other one. Returns the mask before.
sigset_t block_process_signals();

}  // namespace headgate
