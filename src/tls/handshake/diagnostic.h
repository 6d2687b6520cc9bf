#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/units.h"
#include "config/fault.h"

namespace headgate {

/// kNote: a default that cannot be had on this system; a warning for an operator that wrote it. kWarning: it
/// works, but is dangerous. kLeftOut: a file of a directory cannot be used; the others can.
/// kKept: a file that the configuration names cannot be used, and what it held before stays in use; the rest
/// of a reload goes on, and its outcome tells this fault. kError: no part of it can be used, so the
/// configuration before stays in force. Only an error fails a start, a reload or `headgate check`.
enum class Severity : std::uint8_t { kNote, kWarning, kLeftOut, kKept, kError };

/// The fault of a file, for the metric; the sentence for the operator says more.
enum class FileFault : std::uint8_t {
  kOther,
  kUnreadable,
  kDamaged,
  kKeyMismatch,
  kExpired,
  kNotYetValid,
  kWrongPurpose,
  kWeakKey,
  kWeakSignature,
  kOlder,
};
[[nodiscard]] std::string_view name(FileFault fault);

/// A fault in a file that the configuration names, or in a setting that only OpenSSL can evaluate. `what`
/// says what is wrong and what would be right, without the file's name.
struct Diagnostic {
  Severity severity = Severity::kError;
  std::string file;  ///< Empty: the configuration itself is to blame.
  std::string what;
  /// The key that names it, as the function that found the fault sees it: "private_key" of a certificate,
  /// "tls.certificates[0].private_key" of a listener. The keys of a whole snapshot are complete.
  std::string key{};
  FileFault fault = FileFault::kOther;
  std::optional<WallTime> usable_from{};  ///< When the fault goes away by itself, where it does.
  bool operator==(const Diagnostic&) const = default;
};

using Diagnostics = std::vector<Diagnostic>;

[[nodiscard]] inline bool has_errors(const Diagnostics& diagnostics) {
  for (const Diagnostic& one : diagnostics) {
    if (one.severity == Severity::kError) return true;
  }
  return false;
}

/// Makes kKept of each error of `found`, and says so in its words.
void keep_before(Diagnostics& found);

/// Moves `found` to the end of `out`, with keys that begin at `key`: "private_key" becomes "tls.private_key".
void add_below(Diagnostics& out, Diagnostics found, std::string_view key);

/// The same in words, with the place that a fault of the configuration has: "headgate.yaml:7:24:
/// listeners[0].tls.certificates[0].certificate: web.crt: the certificate has expired".
[[nodiscard]] config::Fault fault_of(const Diagnostic& diagnostic, const config::Places& places);

}  // namespace headgate
