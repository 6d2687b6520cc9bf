#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace headgate {

/// Writes numbers and vectors one after the other, in TLS's presentation language, RFC 8446, section 3.
class ByteWriter {
 public:
  void number(std::size_t value, int size_bytes) {
    for (int i = size_bytes - 1; i >= 0; --i)
      bytes_.push_back(static_cast<std::byte>(value >> (8 * i) & 0xff));
  }
  void numbers(std::initializer_list<std::uint16_t> values) {
    for (const std::uint16_t value : values) number(value, 2);
  }
  void text(std::string_view text) { raw(std::as_bytes(std::span(text))); }
  void raw(std::span<const std::byte> bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
  /// Appends `inner` after its length, which takes `size_bytes`.
  void vector(int size_bytes, const ByteWriter& inner) {
    number(inner.bytes_.size(), size_bytes);
    raw(inner.bytes_);
  }
  void reserve(std::size_t size_bytes) { bytes_.reserve(size_bytes); }
  [[nodiscard]] std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

}  // namespace headgate
