#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/document.h"
#include "config/fault.h"
#include "config/keys.h"

namespace headgate::config {

/// The path of a value: as faults name it, and as the list of keys has it.
struct KeyPath {
  std::string key;      ///< "listeners[0].tls.alpn", "backends.app.balance"
  std::string pattern;  ///< "listeners[].tls.alpn", "backends.*.balance"

  [[nodiscard]] KeyPath of_key(std::string_view name) const;
  [[nodiscard]] KeyPath of_item(std::size_t index) const;
  [[nodiscard]] KeyPath of_name(std::string_view name) const;
};

/// What reading one configuration shares.
struct Reading {
  Faults& faults;
  std::vector<std::string> directories;  ///< By the number of the file: what paths in it are relative to.
  std::optional<Variables> variables{};  ///< nullopt: no variable is put in, and "$" is a letter.
  std::vector<Fault> put_in{};           ///< A note about each variable that was.

  [[nodiscard]] const std::string& directory_of(Position position) const {
    return directories[position.file];
  }
};

/// The visitor of keys.h for lists that gathers the keys.
struct KeyNames {
  std::vector<std::string>& names;

  template <class T, class Notation>
  void list(std::string_view key, std::vector<T>&, const Notation&, ListForm) {
    names.emplace_back(key);
  }
};

/// The visitor of keys.h that fills a struct from one map of the document. A wrong value is a fault, and the
/// default stays.
class MapReader {
 public:
  MapReader(const Node& map, KeyPath path, Reading& reading);

  template <class T, class Notation>
  void value(std::string_view key, T& target, const Notation& notation) {
    if (const Node* node = find_scalar(key)) read_scalar(*node, path_.of_key(key), target, notation);
  }

  template <class T, class Notation>
  void list(std::string_view key, std::vector<T>& target, const Notation& notation, ListForm form) {
    const Node* node = find_list(key, form);
    if (node == nullptr) return;
    target.clear();
    const KeyPath list_path = path_.of_key(key);
    if (form == ListForm::kAdmitting && node->items.empty()) refuse_to_admit_all(list_path);
    for (std::size_t index = 0; index < node->items.size(); ++index) {
      const Node& item = node->items[index];
      const KeyPath item_path = list_path.of_item(index);
      T element{};
      if (!expect(item, Node::Kind::kScalar, item_path)) continue;
      if (read_scalar(item, item_path, element, notation)) target.push_back(std::move(element));
    }
  }

  template <class T>
  void map(std::string_view key, T& target) {
    if (const Node* node = find_map(key)) read_map(*node, path_.of_key(key), target);
  }

  template <class T>
  void admitting_map(std::string_view key, T& target) {
    const Node* node = find_map(key);
    if (node == nullptr) return;
    const KeyPath path = path_.of_key(key);
    read_map(*node, path, target);
    if (target.empty() && !reading_.faults.concern(path.key)) refuse_to_admit_all(path);
  }

  template <class T>
  void optional_map(std::string_view key, std::optional<T>& target) {
    if (const Node* node = find_map(key)) read_map(*node, path_.of_key(key), target.emplace());
  }

  template <class T>
  void maps(std::string_view key, std::vector<T>& target, std::string_view short_key) {
    const Node* node = find_maps(key, short_key);
    if (node == nullptr) return;
    target.clear();
    const KeyPath list_path = path_.of_key(key);
    for (std::size_t index = 0; index < node->items.size(); ++index) {
      // An item that is not a map keeps its place, so that the indices of later items stay right.
      T& element = target.emplace_back();
      const Node& item = node->items[index];
      const KeyPath item_path = list_path.of_item(index);
      reading_.faults.place(item_path.key, item.position);
      if (expect(item, Node::Kind::kMap, item_path)) read_map(item, item_path, element);
    }
  }

  template <class T, class Notation>
  void named_maps(std::string_view key, std::map<std::string, T>& target, const Notation& notation) {
    const Node* node = find_map(key);
    if (node == nullptr) return;
    const KeyPath maps_path = path_.of_key(key);
    for (const Entry& entry : entries(*node, maps_path.key, reading_.faults)) {
      const KeyPath item_path = maps_path.of_name(entry.key);
      reading_.faults.place(item_path.key, entry.key_position);
      const auto name = notation.parse(entry.key, reading_.directory_of(entry.key_position));
      if (!name) reading_.faults.add(item_path.key, name.error().what);
      if (!name || !expect(*entry.value, Node::Kind::kMap, item_path)) continue;
      T& element = target[*name];
      element.name = *name;
      read_map(*entry.value, item_path, element);
    }
  }

  template <class T, class Notation, class NameNotation>
  void value_or_map(std::string_view key, T& target, std::map<std::string, T>& by_name,
                    const Notation& notation, const NameNotation& name_notation) {
    const Node* node = find(key);
    if (node == nullptr) return;
    const KeyPath path = path_.of_key(key);
    if (node->kind != Node::Kind::kMap) {
      if (expect(*node, Node::Kind::kScalar, path)) read_scalar(*node, path, target, notation);
      return;
    }
    for (const Entry& entry : entries(*node, path.key, reading_.faults)) {
      const KeyPath item_path = path.of_name(entry.key);
      reading_.faults.place(item_path.key, entry.key_position);
      const auto name = name_notation.parse(entry.key, reading_.directory_of(entry.key_position));
      if (!name) reading_.faults.add(item_path.key, name.error().what);
      if (!name || !expect(*entry.value, Node::Kind::kScalar, item_path)) continue;
      T value{};
      if (read_scalar(*entry.value, item_path, value, notation)) by_name[*name] = std::move(value);
    }
  }

  template <class T, class Notation, class Map>
  void value_or_keys(std::string_view key, T& target, const Notation& notation, Map& map, bool) {
    const Node* node = find(key);
    if (node == nullptr) return;
    const KeyPath path = path_.of_key(key);
    if (node->kind == Node::Kind::kMap) return read_map(*node, path, map);
    if (expect(*node, Node::Kind::kScalar, path)) read_scalar(*node, path, target, notation);
  }

  /// Knows the keys of `T` from now on, which another reader has read.
  template <class T>
  void pass_over(T& target) {
    KeyNames names{known_};
    visit_keys(names, target);
  }

  /// Reports a fault for every entry that no visit has asked for.
  void refuse_unknown_keys();

 private:
  template <class T>
  void read_map(const Node& node, KeyPath path, T& target) {
    MapReader reader(node, std::move(path), reading_);
    visit_keys(reader, target);
    reader.refuse_unknown_keys();
  }

  template <class T, class Notation>
  bool read_scalar(const Node& node, const KeyPath& path, T& target, const Notation& notation) {
    reading_.faults.place(path.key, node.position);
    constexpr bool is_secret = requires { requires !Notation::kTakesVariables; };
    const auto text = with_variables(node, path, is_secret ? Showing::kMayBeSecret : Showing::kShown);
    if (!text) return false;
    if (const auto secret = refuse_secret(*text)) {
      reading_.faults.add(path.key, secret->what);
      return false;
    }
    auto parsed = notation.parse(*text, reading_.directory_of(node.position));
    if (!parsed) {
      reading_.faults.add(path.key, parsed.error().what + hint_of_variables(*text));
      return false;
    }
    target = std::move(*parsed);
    return true;
  }

  /// The text of `node` with its variables put in; nullopt: a variable is at fault.
  std::optional<std::string> with_variables(const Node& node, const KeyPath& path, Showing showing);
  /// What to do where variables were meant, and none is put in; empty where they are not the mistake.
  [[nodiscard]] std::string hint_of_variables(std::string_view text) const;
  /// The list or map of `path` was written, but without an entry.
  void refuse_to_admit_all(const KeyPath& path);
  /// The value of `key`, which counts as known from now on. Null when the key is absent, or has no value,
  /// which is a fault.
  const Node* find(std::string_view key);
  const Node* find_scalar(std::string_view key);
  const Node* find_map(std::string_view key);
  /// A list; a single text becomes a list of one, or of its parts.
  const Node* find_list(std::string_view key, ListForm form);
  /// A list of maps. Unless `short_key` is empty, a text in it becomes a map of that key, and a map alone a
  /// list of one.
  const Node* find_maps(std::string_view key, std::string_view short_key);
  /// Whether `node` is of `kind`; a fault if not.
  bool expect(const Node& node, Node::Kind kind, const KeyPath& path);

  KeyPath path_;
  Reading& reading_;
  std::vector<Entry> entries_;
  std::vector<std::string> known_;
  Node rewritten_;  // what find_list() or find_maps() returned last, when it is not in the document as it
                    // stands
};

}  // namespace headgate::config
