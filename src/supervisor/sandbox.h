#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "supervisor/sandbox_layers.h"

namespace headgate {

/// Says which means enter_sandbox() could apply. Each failure is a sentence for the log: Headgate serves also
/// on a kernel that lacks one of them.
struct SandboxReport {
  bool no_new_privileges = false;
  bool file_system = false;   ///< Landlock.
  bool system_calls = false;  ///< seccomp.
  std::vector<std::string> failures;
  SandboxLayers layers;  ///< All that hold now: for enter_sandbox() in the program that an upgrade starts.
};

/// From now on no core file has the memory of this process, and only root can look into it (ptrace(2),
/// /proc/PID/mem), not another process of the same user. A change of the process's user undoes the second
/// part. The calls that do it cannot fail.
void keep_memory_private();

/// Checks that the calling thread is the only one of the process. Landlock holds in the thread that enters it
/// and in those which that thread starts, so a thread from before would be free of it. Errors: kInvalid.
[[nodiscard]] Result<void> check_that_no_other_thread_runs();

/// Gives up for good the rights that the process does not need: rights by way of set-user-ID programs,
/// writing anywhere but under `writable` (and /dev/null), starting programs from anywhere but
/// own_program_directories(), and the system calls that system_call_filter.h names. docs/security.md says
/// what this is worth.
///
/// All three also hold in the program that an upgrade starts: it can read any new configuration, but it
/// cannot write, nor be started, where the first one could not. `inherited` are the layers of the process
/// before, which are not applied a second time. Call it after privileges are dropped and before another
/// thread is started: see check_that_no_other_thread_runs().
[[nodiscard]] SandboxReport enter_sandbox(std::vector<std::string> writable,
                                          const SandboxLayers& inherited = {});

/// The directories of the running program and of its loader. A start of the program on disk needs them.
[[nodiscard]] std::vector<std::string> own_program_directories();

}  // namespace headgate
