#pragma once

#include <map>
#include <string>

#include "config/document.h"
#include "config/fault.h"

namespace headgate::config {

/// One document made of those of several files. The lists `listeners` are joined and so are the maps
/// `backends`; any other key stands in one file alone. What is there twice is a fault that names both places.
class Merged {
 public:
  /// `main` is a map, and its merge keys are resolved.
  Merged(const Node& main, Faults& faults);

  /// Adds the document of an included file. Null, as of a file with nothing but comments, adds nothing.
  void add(const Node& document);

  [[nodiscard]] const Node& whole() const { return whole_; }

 private:
  void add_entry(const Entry& entry);
  void add_listeners(const Entry& entry);
  void add_backends(const Entry& entry);
  /// The value of `key`, which the whole has so far; null: none.
  Node* find(std::string_view key);
  void append(std::string_view key, Position key_position, Node value);

  Faults& faults_;
  Node whole_{Node::Kind::kMap, {}, {}, {}};
  std::map<std::string, Position, std::less<>> keys_;
  std::map<std::string, Position, std::less<>> backends_;
};

}  // namespace headgate::config
