#pragma once

#include <signal.h>

/// Which thread handles which signals. Any thread.
namespace headgate {

/// Signals that a thread's own fault raises; that thread reports them itself. If it blocks one of them, the
/// kernel ends the process without a report, so no thread blocks them.
inline constexpr int kCrashSignals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};

/// All other signals. The supervisor's thread handles them.
[[nodiscard]] sigset_t process_signals();
/// Blocks those in the calling thread. Every thread but the supervisor's calls this first. Returns the mask
/// that was set before.
sigset_t block_process_signals();

}  // namespace headgate
