#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace headgate {

/// The same bytes as text; nothing is copied. Pure; any thread.
[[nodiscard]] inline std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// The text of a C string; empty for nullptr. Pure; any thread.
[[nodiscard]] inline std::string_view text_of(const char* text) {
  return text != nullptr ? text : std::string_view();
}

}  // namespace headgate
