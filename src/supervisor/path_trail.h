#pragma once

#include <string>
#include <unordered_map>
#include <vector>

namespace headgate {

/// An entry of a directory. `directory` is absolute and free of symbolic links.
struct DirectoryEntry {
  std::string directory;
  std::string name;
  bool operator==(const DirectoryEntry&) const = default;
};

/// Finds the directory entries that decide where a path leads: one for each step and each symbolic link on
/// the way. When none of them changes, the path leads to the same file. For "/etc/tls/tls.crt", where
/// "tls.crt" is a link to "..data/tls.crt" and "..data" is a link to "..5", the entries are {/, etc}, {/etc,
/// tls}, {/etc/tls, tls.crt}, {/etc/tls, ..data}, {/etc/tls, ..5} and {/etc/tls/..5, tls.crt}. The trail of a
/// path that leads nowhere ends with the missing entry.
///
/// It remembers directories, so that 100,000 files of one directory cost two system calls each. Use it once,
/// then drop it.
class PathTrails {
 public:
  /// Returns the trail of `path`; a relative path starts at the working directory.
  [[nodiscard]] std::vector<DirectoryEntry> follow(const std::string& path);
  /// Returns the part of the trail that begins with the last step.
  [[nodiscard]] std::vector<DirectoryEntry> follow_last(const std::string& path);

 private:
  struct Directory {
    std::vector<DirectoryEntry> trail;
    std::string real;  // empty: leads nowhere
  };
  const Directory& directory(const std::string& path);

  std::unordered_map<std::string, Directory> directories_;
};

}  // namespace headgate
