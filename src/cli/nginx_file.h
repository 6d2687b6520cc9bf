#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/import.h"
#include "cli/import_directive.h"

/// An nginx.conf as it is written. import_nginx() knows what the directives mean.
namespace headgate {

/// `name value...;`, or `name value... { lines }`.
struct NginxLine {
  Directive directive;
  bool is_block = false;
  std::vector<NginxLine> block{};

  [[nodiscard]] const std::string& name() const { return directive.key(); }
};

/// The lines of a file, in its order, those of included files in the place of each `include`, but for those
/// in `http` and `mail`. Says of text that is no line, and of files that cannot be read, that they are
/// missing.
[[nodiscard]] std::vector<NginxLine> nginx_lines(const ImportSource& source, Imported& into);

/// "on" or "off".
[[nodiscard]] std::optional<bool> nginx_switch(std::string_view text);

}  // namespace headgate
