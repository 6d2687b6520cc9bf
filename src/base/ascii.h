#pragma once

#include <string>
#include <string_view>

/// Letters without regard to the locale, as names, header fields and keywords compare them. Pure; any thread.
namespace headgate {

/// `c` in lower case where it is a letter of ASCII.
[[nodiscard]] constexpr char ascii_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

/// `text` with each letter of ASCII in lower case.
[[nodiscard]] inline std::string ascii_lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = ascii_lower(c);
  return lower;
}

}  // namespace headgate
