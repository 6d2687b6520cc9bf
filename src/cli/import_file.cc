#include "cli/import_file.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

#include "base/secret_text.h"

namespace headgate {

Result<std::string> read_import_file(const std::string& file) {
  constexpr std::uintmax_t kMaxFileBytes = 16U << 20;  // no configuration is larger; a log or a disk image is
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

std::string fault_of_import(std::string_view text) {
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

}  // namespace headgate
