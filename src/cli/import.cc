#include "cli/import.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <system_error>
#include <tuple>

#include "base/result.h"
#include "base/secret_text.h"
#include "cli/commands.h"
#include "config/load.h"
#include "config/show.h"

namespace headgate {
namespace {

/// No configuration is larger; a log or a disk image is.
constexpr std::uintmax_t kMaxFileBytes = 16U << 20;

Result<std::string> read_file(const std::string& file) {
  std::error_code unknown;
  if (std::filesystem::is_directory(file, unknown))
    return fail(ErrorKind::kInvalid, "is a directory; name one file");
  std::ifstream in(file, std::ios::binary);
  if (!in) return fail(ErrorKind::kInvalid, std::string("cannot be read: ") + std::strerror(errno));
  std::string text;
  std::istreambuf_iterator<char> at(in);
  const std::istreambuf_iterator<char> end;
  while (at != end && text.size() <= kMaxFileBytes) text += *at++;
  if (text.size() > kMaxFileBytes)
    return fail(ErrorKind::kInvalid, "is larger than 16 MiB, and so is no configuration");
  return text;
}

/// What shows that `text` is no configuration; empty if nothing does. Names no byte of it.
std::string fault_of_text(std::string_view text) {
  if (text.find_first_not_of(" \t\r\n\v\f") == std::string_view::npos) return "is empty";
  if (holds_secret(text)) return "holds a key or a certificate, and so is no configuration";
  const auto is_binary = [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 &&
            std::string_view("\t\r\n\v\f").find(c) == std::string_view::npos) ||
           c == 0x7f;
  };
  const auto binary = std::ranges::find_if(text, is_binary);
  if (binary == text.end()) return {};
  const auto line = 1 + std::count(text.begin(), binary, '\n');
  return "is no text: line " + std::to_string(line) + " has a control character";
}

Imported import_text(std::string_view format, const ImportSource& source) {
  if (format == "hitch") return import_hitch(source);
  if (format == "stunnel") return import_stunnel(source);
  return import_haproxy(source);
}

/// Each remark once, in the order of the file.
void put_in_order(std::vector<Remark>& remarks) {
  const auto place = [](const Remark& remark) { return std::tie(remark.line, remark.loss, remark.what); };
  std::ranges::sort(remarks, {}, place);
  const auto same = std::ranges::unique(remarks);
  remarks.erase(same.begin(), same.end());
}

std::string text_of(const Remark& remark, const std::string& file) {
  return file + ':' + std::to_string(remark.line) + (remark.loss == Loss::kRule ? ": error: " : ": note: ") +
         without_secrets(remark.what);
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

int import_command(const std::string& format, const std::string& file) {
  const auto text = read_file(file);
  const std::string fault = text ? fault_of_text(*text) : text.error().what;
  if (!fault.empty()) {
    std::cerr << "headgate import: " << without_secrets(file) << ' ' << fault << '\n';
    return kExitConfiguration;
  }
  std::error_code unknown;
  const std::filesystem::path directory = std::filesystem::absolute(file, unknown).parent_path();
  std::string_view content = *text;
  if (content.starts_with("\xef\xbb\xbf")) content.remove_prefix(3);  // a byte order mark
  Imported imported = import_text(format, {content, directory.string()});
  put_in_order(imported.remarks);
  for (const Remark& remark : imported.remarks) std::cerr << text_of(remark, file) << '\n';
  const std::string yaml = heading_of(imported, file) + config::show(imported.config);
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
