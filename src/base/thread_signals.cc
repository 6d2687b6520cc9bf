#include "base/thread_signals.h"

namespace headgate {

sigset_t process_signals() {
  sigset_t all;
  sigfillset(&all);
  for (const int signal : kCrashSignals) sigdelset(&all, signal);
  return all;
}

sigset_t block_process_signals() {
  const sigset_t all = process_signals();
  sigset_t before;
  pthread_sigmask(SIG_SETMASK, &all, &before);
  return before;
}

}  // namespace headgate
