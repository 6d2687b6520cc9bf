#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace headgate {

/// What the file system still allows after restrict_file_system(). Paths that do not exist are left out.
struct FileSystemRules {
  std::vector<std::string> writable;    ///< Files, and directories with all below them.
  std::vector<std::string> executable;  ///< The same, for starting programs.
};

/// The version of Landlock that the kernel has; 0: none, or switched off.
[[nodiscard]] int landlock_version();

/// From now on the calling thread, the threads and processes it starts and the programs they become can
/// change the file system and start programs only as `rules` say. Reading stays free: which certificates the
/// next reload will name is not known. Descriptors that are open keep their rights. Needs no privileges, but
/// no_new_privs. Cannot be undone; another call can only take more away. Errors: kSystem; kNotFound when the
/// kernel has no Landlock.
[[nodiscard]] Result<void> restrict_file_system(const FileSystemRules& rules);

}  // namespace headgate
