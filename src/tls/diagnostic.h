#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace headgate {

enum class Severity : std::uint8_t { kWarning, kError };

/// Something wrong with a file that the configuration names. Errors keep what was loaded before in force;
/// warnings do not. `what` says what is wrong and what would be right, without the file's name.
struct Diagnostic {
  Severity severity = Severity::kError;
  std::string file;
  std::string what;
  bool operator==(const Diagnostic&) const = default;
};

using Diagnostics = std::vector<Diagnostic>;

[[nodiscard]] inline bool has_errors(const Diagnostics& diagnostics) {
  for (const Diagnostic& one : diagnostics) {
    if (one.severity == Severity::kError) return true;
  }
  return false;
}

}  // namespace headgate
