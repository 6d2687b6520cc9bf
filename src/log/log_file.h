#pragma once

#include <string>

#include "base/result.h"

namespace headgate {

/// The file behind a descriptor that others opened for us (`2>>FILE`), so that it can be opened again once a
/// rotation has given its name to another file. One thread at a time. A write() to the descriptor during
/// reopen() goes to one of the two files as a whole.
class LogFile {
 public:
  /// Finds out what `fd` is: only a regular file that still has its name can be opened again.
  explicit LogFile(int fd);

  /// The file's path at construction; empty if `fd` was not such a file.
  [[nodiscard]] const std::string& path() const { return path_; }

  /// Makes the descriptor write to the end of the file that now has the path; makes that file, with the old
  /// file's mode, if it does not exist. Does nothing when it is the same file, or when path() is empty.
  /// Errors: kSystem; the descriptor then still writes to the old file.
  [[nodiscard]] Result<void> reopen() const;

 private:
  int fd_;
  std::string path_;
};

}  // namespace headgate
