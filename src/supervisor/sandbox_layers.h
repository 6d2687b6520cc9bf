#pragma once

#include <set>
#include <string>
#include <string_view>

namespace headgate {

/// A short name for `text` (FNV-1a, 64 bits): equal texts have equal names in every program.
[[nodiscard]] std::string digest_of(std::string_view text);

/// The restrictions under which a process runs, by their digests. A program that an upgrade starts inherits
/// them, and no system call tells which they are: so a process tells its successor by text().
class SandboxLayers {
 public:
  SandboxLayers() = default;
  /// Reads what text() wrote; of anything else it takes nothing that has a meaning.
  explicit SandboxLayers(std::string_view text);

  /// Whether an inherited or an earlier layer takes the same rights away. An empty digest is never held.
  [[nodiscard]] bool holds(const std::string& digest) const { return digests_.contains(digest); }
  void add(const std::string& digest) {
    if (!digest.empty()) digests_.insert(digest);
  }
  [[nodiscard]] std::string text() const;

 private:
  std::set<std::string> digests_;
};

}  // namespace headgate
