#include "supervisor/crash_report.h"

#include <execinfo.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/crash_tag.h"
#include "base/thread_signals.h"

namespace headgate {
namespace {

constexpr int kMaxFrames = 64;

void write_text(const char* text) {
  // A report that cannot be written is lost.
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, text, strlen(text));
}

void report(int signal_number) {
  write_text("headgate: crashed by SIG");
  write_text(sigabbrev_np(signal_number));  // from a constant table
  write_text("; version " HEADGATE_VERSION "\n");
  CrashTag::write_current(STDERR_FILENO);
  void* frames[kMaxFrames];
  const int count = backtrace(frames, kMaxFrames);
  backtrace_symbols_fd(frames, count, STDERR_FILENO);
  // The kernel reset the handler when it was entered (SA_RESETHAND): the second signal ends the process, with
  // a core if the system is set up for it.
  raise(signal_number);
}

}  // namespace

void install_crash_report() {
  // The first backtrace loads the unwinder, which allocates memory: so it runs now and not first in the
  // handler.
  void* frame = nullptr;
  backtrace(&frame, 1);
  struct sigaction action{};
  action.sa_handler = &report;
  action.sa_flags = static_cast<int>(SA_ONSTACK | SA_RESETHAND | SA_NODEFER);
  for (const int signal_number : kCrashSignals) sigaction(signal_number, &action, nullptr);
}

}  // namespace headgate
