#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/fault.h"

namespace headgate::config {

/// A value of a YAML document, with its position. An alias is a copy of the value that it names.
struct Node {
  enum class Kind { kNull, kScalar, kList, kMap };

  Kind kind = Kind::kNull;
  std::string scalar;
  Position position;
  std::vector<Node> items;  ///< Of a list. Of a map: key, value, key, value.
  bool is_final = false;    ///< Variables have been put into the scalar, so none is looked for in it.
};

/// An entry of a map. Refers into the Node.
struct Entry {
  std::string_view key;
  Position key_position;
  const Node* value;
};

/// The longest file that is read, in bytes.
inline constexpr std::size_t kLongestDocumentBytes = 16 * 1024 * 1024;
/// The most values that the documents of a configuration may hold once their aliases are written out.
inline constexpr std::size_t kMostNodes = 1'000'000;

/// What the documents of one configuration share, and the number of the one that is parsed.
struct Parsing {
  Faults& faults;
  std::uint32_t file = 0;
  std::size_t spent = 0;  ///< Of kMostNodes.
};

/// The end of a fault where YAML has made a list of an IPv6 address.
inline constexpr const char* kAddressLacksQuotes =
    R"(; put quotes around an IPv6 address, as in "[::1]:8443")";

/// Parses `text` as one YAML document. What is wrong goes to the faults; a text that cannot be read at all
/// gives null. Never throws; bounded in time and memory by kLongestDocumentBytes and kMostNodes, whatever the
/// text.
[[nodiscard]] Node parse_document(std::string_view text, Parsing& parsing);

/// The entries of `map`, those of its merge keys ("<<") behind its own. A key that is given twice, or that is
/// not a word, is a fault of `path`.
[[nodiscard]] std::vector<Entry> entries(const Node& map, const std::string& path, Faults& faults);

/// "a map", "a list", "text", "nothing": for sentences.
[[nodiscard]] std::string_view description(Node::Kind kind);

}  // namespace headgate::config
