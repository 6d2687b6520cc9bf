#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace headgate::test {

/// A ClientHello of any size, in as many records as it needs, for parse_client_hello().
class HelloOf {
 public:
  std::vector<std::uint16_t> ciphers{0x1301}, groups{}, signature_algorithms{}, versions{};
  std::vector<std::string> alpn{};
  std::size_t unknown_extensions = 0;

  [[nodiscard]] std::vector<std::byte> records() const {
    const std::string message = std::string("\x01", 1) + sized(3, body());
    std::string all;
    for (std::size_t at = 0; at < message.size(); at += kRecordBytes)
      all += "\x16\x03\x01" + sized(2, message.substr(at, kRecordBytes));
    const auto* bytes = reinterpret_cast<const std::byte*>(all.data());
    return {bytes, bytes + all.size()};
  }

 private:
  static constexpr std::size_t kRecordBytes = 16384;

  static std::string number(std::size_t width, std::size_t value) {
    std::string text;
    for (std::size_t i = width; i-- > 0;) text.push_back(static_cast<char>(value >> (8 * i) & 0xff));
    return text;
  }
  static std::string sized(std::size_t width, const std::string& content) {
    return number(width, content.size()) + content;
  }
  static std::string list(const std::vector<std::uint16_t>& values) {
    std::string text;
    for (const std::uint16_t value : values) text += number(2, value);
    return text;
  }
  static std::string extension(std::uint16_t type, const std::string& content) {
    return number(2, type) + sized(2, content);
  }
  [[nodiscard]] std::string body() const {
    std::string extensions, names;
    if (!groups.empty()) extensions += extension(10, sized(2, list(groups)));
    if (!signature_algorithms.empty()) extensions += extension(13, sized(2, list(signature_algorithms)));
    if (!versions.empty()) extensions += extension(43, sized(1, list(versions)));
    for (const std::string& name : alpn) names += sized(1, name);
    if (!alpn.empty()) extensions += extension(16, sized(2, names));
    for (std::size_t i = 0; i < unknown_extensions; ++i)
      extensions += extension(static_cast<std::uint16_t>(10'000 + i), "");
    return "\x03\x03" + std::string(32, 'r') + sized(1, "") + sized(2, list(ciphers)) +
           sized(1, std::string(1, '\0')) + sized(2, extensions);
  }
};

/// Returns `count` numbers, from 1 on.
inline std::vector<std::uint16_t> numbers(std::size_t count) {
  std::vector<std::uint16_t> all;
  for (std::size_t i = 0; i < count; ++i) all.push_back(static_cast<std::uint16_t>(i + 1));
  return all;
}

/// Returns a ClientHello of 66 KB, in which each list but one is longer than the part that readers keep.
inline HelloOf largest_hello() {
  HelloOf hello;
  hello.ciphers = numbers(10'000);
  hello.groups = numbers(10'000);
  hello.signature_algorithms = numbers(10'000);
  hello.versions = numbers(127);
  hello.unknown_extensions = 1'000;
  for (int i = 0; i < 100; ++i) hello.alpn.push_back("\x01\x02 protocol " + std::to_string(i));
  return hello;
}

}  // namespace headgate::test
