#include "tls/handshake/diagnostic.h"

#include <array>
#include <iterator>
#include <utility>

namespace headgate {

std::string_view name(FileFault fault) {
  constexpr std::array<std::string_view, 10> kNames{
      "other",         "unreadable",    "damaged",  "key_mismatch",   "expired",
      "not_yet_valid", "wrong_purpose", "weak_key", "weak_signature", "older"};
  return kNames[static_cast<std::size_t>(fault)];
}

void keep_before(Diagnostics& found) {
  for (Diagnostic& one : found) {
    if (one.severity != Severity::kError) continue;
    one.severity = Severity::kKept;
    one.what += "; what was loaded before stays in use";
  }
}

void add_below(Diagnostics& out, Diagnostics found, std::string_view key) {
  for (Diagnostic& one : found) one.key = std::string(key) + (one.key.empty() ? "" : ".") + one.key;
  out.insert(out.end(), std::make_move_iterator(found.begin()), std::make_move_iterator(found.end()));
}

config::Fault fault_of(const Diagnostic& diagnostic, const config::Places& places) {
  const bool is_fault = diagnostic.severity >= Severity::kKept;
  const bool is_note = diagnostic.severity == Severity::kNote && !places.has(diagnostic.key);
  if (places.file().empty()) {  // a configuration made of options has no keys to point to
    return {.file = diagnostic.file, .what = diagnostic.what, .warning = !is_fault, .note = is_note};
  }
  const config::Position position = places.position_of(diagnostic.key);
  return {.file = places.file_of(position),
          .line = position.line,
          .column = position.column,
          .key = diagnostic.key,
          .what = places.with_origin(
              position, diagnostic.file + (diagnostic.file.empty() ? "" : ": ") + diagnostic.what),
          .warning = !is_fault,
          .note = is_note};
}

}  // namespace headgate
