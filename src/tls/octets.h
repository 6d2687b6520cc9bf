#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

/// Bytes as others want them: OpenSSL as unsigned char, parsers as numbers, comparisons as text. Nothing is
/// copied.
namespace headgate {

[[nodiscard]] inline const unsigned char* as_octets(const std::byte* bytes) {
  return reinterpret_cast<const unsigned char*>(bytes);
}
[[nodiscard]] inline unsigned char* as_octets(std::byte* bytes) {
  return reinterpret_cast<unsigned char*>(bytes);
}

[[nodiscard]] inline std::uint8_t octet_at(std::span<const std::byte> bytes, std::size_t index) {
  return std::to_integer<std::uint8_t>(bytes[index]);
}

[[nodiscard]] inline std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace headgate
