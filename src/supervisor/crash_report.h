#pragma once

namespace headgate {

/// From now on a crash of any thread (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT) writes to stderr which signal
/// it was, what the thread worked on (CrashTag) and its backtrace, and then ends the process as the signal
/// would have. Only async-signal-safe calls; on the thread's CrashStack where it has one. No memory and no
/// bytes of any peer are printed. Call once, from main.
void install_crash_report();

}  // namespace headgate
