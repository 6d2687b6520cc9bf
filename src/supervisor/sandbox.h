#pragma once

#include <string>
#include <vector>

namespace headgate {

/// Says which means enter_sandbox() could apply. Each failure is a sentence for the log: Headgate serves also
/// on a kernel that lacks one of them.
struct SandboxReport {
  bool no_new_privileges = false;
  bool file_system = false;   ///< Landlock.
  bool system_calls = false;  ///< seccomp.
  std::vector<std::string> failures;
};

/// Gives up for good the rights that the process does not need: rights by way of set-user-ID programs,
/// writing anywhere but under `writable` (and /dev/null), starting programs from anywhere but
/// own_program_directories(), and the system calls that system_call_filter.h names. docs/security.md says
/// what this is worth.
///
/// All three also hold in the program that an upgrade starts: it can read any new configuration, but it
/// cannot write, nor be started, where the first one could not. Call it after privileges are dropped and
/// before another thread is started: Landlock holds in the calling thread and in those started after it.
[[nodiscard]] SandboxReport enter_sandbox(std::vector<std::string> writable);

/// The directories of the running program and of its loader. A start of the program on disk needs them.
[[nodiscard]] std::vector<std::string> own_program_directories();

}  // namespace headgate
