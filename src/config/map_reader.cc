#include "config/map_reader.h"

#include <algorithm>
#include <utility>

#include "base/secret_text.h"
#include "config/known_keys.h"
#include "config/nearest.h"

namespace headgate::config {
namespace {

/// "A:B:C" as a list, where `text` is the scalar with its variables put in. Each part stands at its own
/// column, or at that of the scalar where variables have moved it.
Node split(const Node& scalar, std::string_view text) {
  Node list{Node::Kind::kList, {}, scalar.position, {}};
  const bool is_written = text == scalar.scalar;
  Position position = scalar.position;
  for (;;) {
    const std::size_t colon = text.find(':');
    list.items.push_back({Node::Kind::kScalar, std::string(text.substr(0, colon)), position, {}, true});
    if (colon == text.npos) return list;
    text.remove_prefix(colon + 1);
    if (is_written) position.column += static_cast<int>(colon) + 1;
  }
}

Node one_item(const Node& item) {
  return {Node::Kind::kList, {}, item.position, {item}};
}

Node map_of(std::string_view key, const Node& value) {
  Node name{Node::Kind::kScalar, std::string(key), value.position, {}};
  return {Node::Kind::kMap, {}, value.position, {std::move(name), value}};
}

/// A key as faults name it: in quotes unless it is a word.
std::string shown(std::string_view key) {
  return check_label(key) ? std::string(key) : quote(key);
}

std::string last_segment(std::string_view pattern) {
  return std::string(pattern.substr(pattern.rfind('.') + 1));
}

std::size_t common_prefix(std::string_view left, std::string_view right) {
  const auto end = std::mismatch(left.begin(), left.end(), right.begin(), right.end()).first;
  return static_cast<std::size_t>(end - left.begin());
}

/// The known key that ends in `name` and is nearest to `pattern` in the tree; empty when no key has that
/// name.
std::string known_elsewhere(std::string_view name, const std::string& pattern) {
  std::string best;
  for (const KnownKey& known : known_keys()) {
    const std::string last = last_segment(known.path);
    if (last != name && last != std::string(name) + "[]") continue;
    if (best.empty() || common_prefix(known.path, pattern) > common_prefix(best, pattern)) best = known.path;
  }
  return best;
}

std::string unknown_key(std::string_view name, const std::string& pattern,
                        const std::vector<std::string>& known) {
  if (const auto meant = nearest(name, known)) return "unknown key; did you mean \"" + *meant + "\"?";
  if (const std::string elsewhere = known_elsewhere(name, pattern); !elsewhere.empty()) {
    return "unknown key here; it exists as " + elsewhere;
  }
  return "unknown key; known here are " + enumeration(known, "and");
}

}  // namespace

KeyPath KeyPath::of_key(std::string_view name) const {
  const std::string step = (key.empty() ? "" : ".") + std::string(name);
  return {key + step, pattern + step};
}

KeyPath KeyPath::of_item(std::size_t index) const {
  return {key + '[' + std::to_string(index) + ']', pattern + "[]"};
}

KeyPath KeyPath::of_name(std::string_view name) const {
  return {key + '.' + std::string(name), pattern + ".*"};
}

MapReader::MapReader(const Node& map, KeyPath path, Reading& reading)
    : path_(std::move(path)), reading_(reading), entries_(entries(map, path_.key, reading.faults)) {}

void MapReader::refuse_unknown_keys() {
  for (const Entry& entry : entries_) {
    if (std::find(known_.begin(), known_.end(), entry.key) != known_.end()) continue;
    reading_.faults.add_at(entry.key_position, path_.of_key(shown(entry.key)).key,
                           unknown_key(entry.key, path_.pattern, known_));
  }
}

// A template writes an empty list where it has no values, and its author did not mean all.
void MapReader::refuse_to_admit_all(const KeyPath& path) {
  reading_.faults.add(path.key, "is empty, and would stand for all; leave it out where all is meant");
}

std::optional<std::string> MapReader::with_variables(const Node& node, const KeyPath& path, Showing showing) {
  if (!reading_.variables || node.is_final) return node.scalar;
  auto value = reading_.variables->put_in(node.scalar, showing);
  if (!value) {
    reading_.faults.place(path.key, node.position);
    reading_.faults.add(path.key, value.error().what);
    return std::nullopt;
  }
  std::string origin;
  for (const PutIn& variable : value->variables) {
    origin += (origin.empty() ? "" : "; ") + variable.text();
    reading_.put_in.push_back({.file = reading_.faults.places().file_of(node.position),
                               .line = node.position.line,
                               .column = node.position.column,
                               .key = without_secrets(path.key),
                               .what = without_secrets(variable.text()),
                               .warning = true,
                               .note = true});
  }
  if (!origin.empty()) reading_.faults.explain(node.position, std::move(origin));
  return std::move(value->text);
}

std::string MapReader::hint_of_variables(std::string_view text) const {
  if (reading_.variables || text.find("${") == text.npos) return {};
  return "; a variable of the environment is put in where the key `environment` names it";
}

const Node* MapReader::find(std::string_view key) {
  known_.emplace_back(key);
  const auto found =
      std::find_if(entries_.begin(), entries_.end(), [key](const Entry& e) { return e.key == key; });
  if (found == entries_.end()) return nullptr;
  const KeyPath path = path_.of_key(key);
  reading_.faults.place(path.key, found->key_position);
  if (found->value->kind != Node::Kind::kNull) return found->value;
  reading_.faults.add(path.key, "has no value; give it one or leave the key out");
  return nullptr;
}

const Node* MapReader::find_scalar(std::string_view key) {
  const Node* node = find(key);
  return node != nullptr && expect(*node, Node::Kind::kScalar, path_.of_key(key)) ? node : nullptr;
}

const Node* MapReader::find_map(std::string_view key) {
  const Node* node = find(key);
  return node != nullptr && expect(*node, Node::Kind::kMap, path_.of_key(key)) ? node : nullptr;
}

const Node* MapReader::find_list(std::string_view key, ListForm form) {
  const Node* node = find(key);
  if (node == nullptr) return nullptr;
  if (node->kind == Node::Kind::kScalar && form == ListForm::kColons) {
    const auto text = with_variables(*node, path_.of_key(key), Showing::kShown);
    if (!text) return nullptr;
    rewritten_ = split(*node, *text);
    return &rewritten_;
  }
  if (node->kind == Node::Kind::kScalar) {
    rewritten_ = one_item(*node);
    return &rewritten_;
  }
  return expect(*node, Node::Kind::kList, path_.of_key(key)) ? node : nullptr;
}

const Node* MapReader::find_maps(std::string_view key, std::string_view short_key) {
  const Node* node = find(key);
  if (node == nullptr) return nullptr;
  const bool shortened = !short_key.empty();
  if (shortened && (node->kind == Node::Kind::kScalar || node->kind == Node::Kind::kMap)) {
    rewritten_ = one_item(node->kind == Node::Kind::kMap ? *node : map_of(short_key, *node));
    return &rewritten_;
  }
  if (!expect(*node, Node::Kind::kList, path_.of_key(key))) return nullptr;
  if (!shortened) return node;
  rewritten_ = *node;
  for (Node& item : rewritten_.items) {
    if (item.kind == Node::Kind::kScalar) item = map_of(short_key, item);
  }
  return &rewritten_;
}

namespace {

/// A map whose key is a list: YAML makes one of an unquoted "[::1]:8443" in a list.
bool is_unquoted_address(const Node& node) {
  return node.kind == Node::Kind::kMap && !node.items.empty() && node.items.front().kind == Node::Kind::kList;
}

}  // namespace

bool MapReader::expect(const Node& node, Node::Kind kind, const KeyPath& path) {
  if (node.kind == kind) return true;
  reading_.faults.place(path.key, node.position);
  const bool unquoted = kind == Node::Kind::kScalar && is_unquoted_address(node);
  reading_.faults.add(path.key, "needs " + std::string(description(kind)) + " here, not " +
                                    std::string(description(node.kind)) +
                                    (unquoted ? kAddressLacksQuotes : ""));
  return false;
}

}  // namespace headgate::config
