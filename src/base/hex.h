#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace headgate {

/// The digit for the low four bits of `byte`.
[[nodiscard]] inline char hex_digit(std::byte byte) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  return kDigits[std::to_integer<std::size_t>(byte & std::byte{0x0f})];
}

/// The bytes in lower-case hexadecimal, without anything between. Pure; any thread.
[[nodiscard]] inline std::string hex_of(std::span<const std::byte> bytes) {
  std::string text;
  text.reserve(2 * bytes.size());
  for (const std::byte byte : bytes) {
    text += hex_digit(byte >> 4);
    text += hex_digit(byte);
  }
  return text;
}

/// Whether `text` is hex_of(bytes).
[[nodiscard]] inline bool is_hex_of(std::string_view text, std::span<const std::byte> bytes) {
  if (text.size() != 2 * bytes.size()) return false;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (text[2 * i] != hex_digit(bytes[i] >> 4) || text[2 * i + 1] != hex_digit(bytes[i])) return false;
  }
  return true;
}

}  // namespace headgate
