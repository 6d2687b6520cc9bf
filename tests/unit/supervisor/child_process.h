#pragma once

#include <sys/wait.h>

namespace headgate {

/// Waits for the end of `child`, and returns its exit code; -1 where a signal ended it.
inline int exit_code_of(pid_t child) {
  int status = 0;
  return ::waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace headgate
