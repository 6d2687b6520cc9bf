#pragma once

#include <string>
#include <string_view>

#include "cli/import.h"
#include "config/load.h"
#include "config/show.h"

namespace headgate {

/// What the loader finds wrong with what was imported, a line each; warnings aside.
inline std::string faults_of(const Imported& imported) {
  std::string lines;
  for (const auto& fault : config::load_text(config::show(imported.config), "t.yaml", "").faults) {
    if (!fault.warning) lines += fault.text() + '\n';
  }
  return lines;
}

/// "4: has no equal", a line each.
inline std::string unequal_of(const Imported& imported) {
  std::string lines;
  for (const Unequal& one : imported.unequal) lines += std::to_string(one.line) + ": " + one.what + '\n';
  return lines;
}

/// Imports every prefix of `text`, and `text` with each byte damaged: none may do more than be misunderstood.
template <class Import>
void import_damaged(const Import& import, std::string_view text) {
  for (std::size_t size = 0; size < text.size(); ++size) {
    static_cast<void>(import(text.substr(0, size)));
    std::string damaged(text);
    for (const char c : {'\0', '"', '}', '[', '\xff'}) {
      damaged[size] = c;
      static_cast<void>(import(damaged));
    }
  }
}

}  // namespace headgate
