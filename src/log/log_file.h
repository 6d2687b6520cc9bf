#pragma once

#include <string>

#include "base/result.h"

namespace headgate {

/// The file behind a descriptor that others opened for us (`2>>FILE`), so that it can be opened again once a
/// rotation has given its name to another file. Not for two threads at once; who writes to the descriptor
/// meanwhile writes to either file, whole.
class LogFile {
 public:
  /// Looks what `fd` is: only a regular file that still has its name can be opened again.
  explicit LogFile(int fd);

  /// Its path when it was looked at; empty: it is no file.
  [[nodiscard]] const std::string& path() const { return path_; }

  /// Makes the descriptor write to the end of what now has the path, which is made with the old file's mode
  /// when nothing has. Does nothing when that is the same file, or when there is no path. Errors: kSystem;
  /// the descriptor writes to the old file then.
  [[nodiscard]] Result<void> reopen() const;

 private:
  int fd_;
  std::string path_;
};

}  // namespace headgate
