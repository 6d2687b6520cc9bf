#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace headgate {

/// kWarning: it works, and will hurt. kLeftOut: a file of a directory cannot be used; the others can. kError:
/// nothing of this can be used, so what was loaded before stays in force. `headgate check` counts the last
/// two as faults.
enum class Severity : std::uint8_t { kWarning, kLeftOut, kError };

/// Something wrong with a file that the configuration names. `what` says what is wrong and what would be
/// right, without the file's name.
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
