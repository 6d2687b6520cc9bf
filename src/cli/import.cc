#include "cli/import.h"

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <string_view>
#include <system_error>
#include <tuple>

#include "base/secret_text.h"
#include "cli/commands.h"
#include "cli/import_file.h"
#include "cli/import_words.h"
#include "config/load.h"
#include "config/show.h"

namespace headgate {
namespace {

/// Each remark once, in the order of the file.
void put_in_order(std::vector<Remark>& remarks) {
  const auto place = [](const Remark& remark) {
    return std::tie(remark.file, remark.line, remark.loss, remark.what);
  };
  std::ranges::sort(remarks, {}, place);
  const auto same = std::ranges::unique(remarks);
  remarks.erase(same.begin(), same.end());
}

std::string text_of(const Remark& remark, const std::string& file) {
  return (remark.file.empty() ? file : remark.file) + ':' + std::to_string(remark.line) +
         (remark.loss == Loss::kRule ? ": error: " : ": note: ") + without_secrets(remark.what);
}

/// The lost rules as comments, so that the YAML itself says what it lacks.
std::string heading_of(const Imported& imported, const std::string& file) {
  std::string heading;
  for (const Remark& remark : imported.remarks) {
    if (remark.loss == Loss::kRule) heading += "# not carried over: " + text_of(remark, file) + '\n';
  }
  return heading;
}

/// Prints the faults that the loader finds in `yaml`. Returns whether `yaml` can be used.
bool loads(const std::string& yaml) {
  const config::Loaded loaded = config::load_text(yaml, "the YAML", "");
  for (const auto& fault : loaded.faults) std::cerr << fault.text() << '\n';
  return loaded.usable();
}

}  // namespace

int import_command(const ImportFormat& format, const std::string& file) {
  const auto text = read_import_file(file);
  std::string fault = text ? fault_of_import(*text) : text.error().what;
  if (text && trimmed(*text).empty()) fault = "is empty";
  if (!fault.empty()) {
    std::cerr << "headgate import: " << without_secrets(file) << ' ' << fault << '\n';
    return kExitConfiguration;
  }
  std::error_code unknown;
  const std::filesystem::path directory = std::filesystem::absolute(file, unknown).parent_path();
  std::string_view content = *text;
  if (content.starts_with("\xef\xbb\xbf")) content.remove_prefix(3);  // a byte order mark
  Imported imported = format.read({content, directory.string()});
  put_in_order(imported.remarks);
  for (const Remark& remark : imported.remarks) std::cerr << text_of(remark, file) << '\n';
  const std::string yaml = heading_of(imported, file) + config::show_changes(imported.config);
  std::cout << yaml << std::flush;
  const bool usable = loads(yaml);
  const auto lost = std::ranges::count(imported.remarks, Loss::kRule, &Remark::loss);
  if (lost > 0)
    std::cerr
        << "headgate import: rules about access, TLS or where a connection goes that were not carried over: "
        << lost << "; the YAML is another set-up than " << file << '\n';
  return usable && lost == 0 ? kExitDone : kExitConfiguration;
}

}  // namespace headgate
