#pragma once

#include <string>
#include <string_view>

#include "cli/import.h"
#include "config/load.h"
#include "config/show.h"

namespace headgate {

/// The faults that the loader finds in the imported configuration, one in a line, without warnings.
inline std::string faults_of(const Imported& imported) {
  std::string lines;
  for (const auto& fault : config::load_text(config::show_changes(imported.config), "t.yaml", "").faults) {
    if (!fault.warning) lines += fault.text() + '\n';
  }
  return lines;
}

/// The remarks, one in a line: "4 error: has no equal".
inline std::string remarks_of(const Imported& imported) {
  std::string lines;
  for (const Remark& one : imported.remarks)
    lines += std::to_string(one.line) + (one.loss == Loss::kRule ? " error: " : " note: ") + one.what + '\n';
  return lines;
}

/// Imports every prefix of `text`, and `text` with each byte damaged. The importer may misunderstand these
/// texts, but not crash.
template <class Import>
void import_damaged(const Import& import, std::string_view text) {
  for (std::size_t size = 0; size < text.size(); ++size) {
    static_cast<void>(import({text.substr(0, size)}));
    std::string damaged(text);
    for (const char c : {'\0', '"', '}', '[', '\xff'}) {
      damaged[size] = c;
      static_cast<void>(import({damaged}));
    }
  }
}

}  // namespace headgate
