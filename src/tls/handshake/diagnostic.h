#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/fault.h"

namespace headgate {

/// kWarning: it works, and will hurt. kLeftOut: a file of a directory cannot be used; the others can. kError:
/// nothing of this can be used, so what was loaded before stays in force. `headgate check` counts the last
/// two as faults.
enum class Severity : std::uint8_t { kWarning, kLeftOut, kError };

/// What is wrong with a file, for the metric; the sentence for the operator says more.
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

/// Something wrong with a file that the configuration names, or with what only OpenSSL can judge. `what` says
/// what is wrong and what would be right, without the file's name.
struct Diagnostic {
  Severity severity = Severity::kError;
  std::string file;  ///< Empty: no file is to blame but the configuration.
  std::string what;
  /// The key that names it, from where the function that found it stands: "private_key" of a certificate,
  /// "tls.certificates[0].private_key" of a listener. A whole snapshot's keys are whole.
  std::string key{};
  FileFault fault = FileFault::kOther;
  bool operator==(const Diagnostic&) const = default;
};

using Diagnostics = std::vector<Diagnostic>;

[[nodiscard]] inline bool has_errors(const Diagnostics& diagnostics) {
  for (const Diagnostic& one : diagnostics) {
    if (one.severity == Severity::kError) return true;
  }
  return false;
}

/// Moves `found` to the end of `out`, with keys that begin at `key`: "private_key" becomes "tls.private_key".
void add_below(Diagnostics& out, Diagnostics found, std::string_view key);

/// The same in the words and with the place that a fault of the configuration has:
/// "headgate.yaml:7:24: listeners[0].tls.certificates[0].certificate: web.crt: the certificate has expired".
[[nodiscard]] config::Fault fault_of(const Diagnostic& diagnostic, const config::Places& places);

}  // namespace headgate
