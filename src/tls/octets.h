#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/text_of.h"

/// Bytes as others want them: OpenSSL as unsigned char, parsers as numbers, and as text. Nothing is copied.
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

}  // namespace headgate
