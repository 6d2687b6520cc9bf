#include "cli/import.h"

#include <algorithm>
#include <fstream>
#include <iostream>
#include <iterator>

#include "cli/commands.h"
#include "config/load.h"
#include "config/show.h"

namespace headgate {
namespace {

Imported import_text(std::string_view format, std::string_view text) {
  if (format == "hitch") return import_hitch(text);
  if (format == "stunnel") return import_stunnel(text);
  return import_haproxy(text);
}

/// Prints the faults that the loader finds in `yaml`. Returns whether `yaml` can be used.
bool loads(const std::string& yaml) {
  const config::Loaded loaded = config::load_text(yaml, "the YAML", "");
  for (const auto& fault : loaded.faults) std::cerr << fault.text() << '\n';
  return loaded.usable();
}

}  // namespace

int import_command(const std::string& format, const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (!in) {
    std::cerr << "headgate import: " << file << " cannot be read\n";
    return kExitConfiguration;
  }
  Imported imported = import_text(format, text);
  std::ranges::stable_sort(imported.unequal, {}, &Unequal::line);
  for (const Unequal& one : imported.unequal)
    std::cerr << file << ':' << one.line << ": " << one.what << '\n';
  const std::string yaml = config::show(imported.config);
  std::cout << yaml << std::flush;
  return loads(yaml) ? kExitDone : kExitConfiguration;
}

}  // namespace headgate
