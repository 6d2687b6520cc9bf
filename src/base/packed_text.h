#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>

namespace headgate {

/// A text that takes no more than a pointer while it is empty, for a field that many objects have and few of
/// them fill. Moved, not copied. At most 4 GiB.
class PackedText {
 public:
  PackedText& operator=(std::string_view text) {
    bytes_.reset();
    if (text.empty()) return *this;
    const auto size_bytes = static_cast<std::uint32_t>(text.size());
    bytes_ = std::make_unique_for_overwrite<char[]>(sizeof size_bytes + size_bytes);
    std::memcpy(bytes_.get(), &size_bytes, sizeof size_bytes);
    std::memcpy(bytes_.get() + sizeof size_bytes, text.data(), size_bytes);
    return *this;
  }
  void clear() { bytes_.reset(); }
  [[nodiscard]] bool empty() const { return bytes_ == nullptr; }
  /// Valid until the text is assigned to, cleared, moved from or destroyed.
  [[nodiscard]] std::string_view view() const {
    if (empty()) return {};
    std::uint32_t size_bytes = 0;
    std::memcpy(&size_bytes, bytes_.get(), sizeof size_bytes);
    return {bytes_.get() + sizeof size_bytes, size_bytes};
  }

 private:
  std::unique_ptr<char[]> bytes_;  // the length, then the text
};

}  // namespace headgate
