#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "supervisor/sandbox_layers.h"

namespace headgate {

/// The rights to the file system that restrict_file_system() leaves. Paths that do not exist are left out.
struct FileSystemRules {
  std::vector<std::string> writable;    ///< Files, and directories with all below them.
  std::vector<std::string> executable;  ///< The same, for starting programs.
};

/// Returns the version of the kernel's Landlock; 0: the kernel has none, or it is switched off.
[[nodiscard]] int landlock_version();

/// From now on the calling thread, the threads and processes that it starts and the programs that they become
/// can change the file system and start programs only as `rules` say. Reading stays free, because no one
/// knows the certificates that the next reload will name. Open descriptors keep their rights. The call needs
/// no privileges, but no_new_privs. It cannot be undone; another call can only take more rights away, and the
/// kernel takes 16. So a call does nothing where `layers` holds the same rules, and adds its own to `layers`.
/// Errors: kSystem; kNotFound when the kernel has no Landlock.
[[nodiscard]] Result<void> restrict_file_system(const FileSystemRules& rules, SandboxLayers& layers);

}  // namespace headgate
