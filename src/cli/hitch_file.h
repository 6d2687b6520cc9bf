#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/import.h"
#include "cli/import_directive.h"

/// A hitch.conf as it is written. import_hitch() knows what the keys mean.
namespace headgate {

/// `key = value`, or `key = { entries }`. The directive's words are the key and the value; `tls-protos` has a
/// word for each version.
struct HitchEntry {
  Directive directive;
  std::vector<HitchEntry> block{};

  [[nodiscard]] const std::string& key() const { return directive.key(); }
  [[nodiscard]] const std::string& value() const { return directive.value(); }
};

/// The entries of the file `text`, in its order. Says of text that is no entry that it is not read.
[[nodiscard]] std::vector<HitchEntry> hitch_entries(std::string_view text, Imported& into);

}  // namespace headgate
