#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace headgate {

/// A server name in the form in which names are compared: in lower case, without a final dot. A value; any
/// thread.
class NormalName {
 public:
  /// RFC 1035, section 2.3.4: no name is longer.
  static constexpr std::size_t kMaxBytes = 255;

  explicit NormalName(std::string_view name);
  /// Empty if the text cannot be a name.
  [[nodiscard]] std::string_view view() const { return {bytes_.data(), size_}; }

 private:
  std::array<char, kMaxBytes> bytes_;
  std::size_t size_ = 0;
};

/// Finds the first of several lists of patterns that has a name: "a.example", or "*.example" for one label in
/// front. Built once, then read by any thread.
class NamePatterns {
 public:
  /// Adds a pattern to the list of that number. Lists are added in ascending order.
  void add(std::string_view pattern, std::uint32_t list);
  /// The least number of a list with a pattern for `name`; nothing for a text that is no name.
  [[nodiscard]] std::optional<std::uint32_t> find(std::string_view name) const;
  [[nodiscard]] bool empty() const { return exact_.empty() && under_.empty(); }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  using ByName = std::unordered_map<std::string, std::uint32_t, Hash, std::equal_to<>>;

  ByName exact_;
  ByName under_;  // "example" for "*.example"
};

}  // namespace headgate
