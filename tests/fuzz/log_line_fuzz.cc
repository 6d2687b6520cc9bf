#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "log/line.h"

/// Whatever a client sends, it stays within the one line, and no control character reaches a terminal.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes{reinterpret_cast<const char*>(data), size};
  const headgate::LogField fields[] = {{"value", bytes}};
  for (const auto append : {headgate::append_text, headgate::append_json}) {
    std::string out;
    append(out, {.time = {}, .level = headgate::LogLevel::kInfo, .message = bytes, .fields = fields});
    for (std::size_t i = 0; i + 1 < out.size(); ++i) HG_CHECK(static_cast<unsigned char>(out[i]) >= 0x20);
    HG_CHECK(out.back() == '\n');
  }
  return 0;
}
