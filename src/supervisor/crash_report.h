#pragma once

namespace headgate {

/// From now on a crash of any thread (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT) writes to stderr the signal,
/// the work of the thread (CrashTag) and its backtrace, and then ends the process as the signal would have.
/// It uses only async-signal-safe calls, on the thread's CrashStack where it has one, and prints no memory
/// and no bytes of any peer. Call once, from main.
void install_crash_report();

}  // namespace headgate
