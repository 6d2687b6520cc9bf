#include "config/document.h"

#include <algorithm>
#include <cstddef>
#include <exception>
#include <sstream>
#include <unordered_map>
#include <utility>

#include <yaml-cpp/depthguard.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include "config/notation.h"

namespace headgate::config {
namespace {

constexpr const char* kSyntaxKey =
    "yaml";  // takes the place of the key in a fault that is found before any key is read
constexpr std::string_view kMergeKey = "<<";

Position position_of(const YAML::Mark& mark, std::uint32_t file) {
  return {mark.line + 1, mark.column + 1, file};
}

bool is_null_word(std::string_view text) {
  return text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL";
}

/// Tags that change nothing: none, "!" (quoted), "?" (plain), and YAML's own.
bool is_plain_tag(std::string_view tag) {
  return tag.empty() || tag == "?" || tag == "!" || tag.starts_with("tag:yaml.org,2002:");
}

/// What a node costs in memory, in nodes: a long text counts as several.
std::size_t cost_alone(const Node& node) {
  return 1 + node.scalar.size() / sizeof(Node);
}

std::size_t cost(const Node& node) {
  std::size_t sum = cost_alone(node);
  for (const Node& item : node.items) sum += cost(item);
  return sum;
}

/// Builds the Node of one document from the parser's events.
class TreeBuilder final : public YAML::EventHandler {
 public:
  explicit TreeBuilder(Parsing& parsing) : parsing_(parsing) {}

  /// The document; null when it was too large to hold.
  [[nodiscard]] Node take() { return full_ ? Node{} : std::exchange(root_, {}); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    add({Node::Kind::kNull, {}, at(mark), {}}, anchor);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (full_) return;
    const auto found = anchored_.find(anchor);
    if (found == anchored_.end()) return refuse(mark, "an alias cannot be inside the value that it names");
    if (has_room(at(mark), found->second.cost)) put(found->second.node);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    check_tag(mark, tag);
    if (tag != "!" && is_null_word(value)) return OnNull(mark, anchor);
    add({Node::Kind::kScalar, value, at(mark), {}}, anchor);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(Node::Kind::kList, mark, tag, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(Node::Kind::kMap, mark, tag, anchor);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Open {
    Node node;
    YAML::anchor_t anchor;
  };
  struct Anchored {
    Node node;
    std::size_t cost;
  };

  void check_tag(const YAML::Mark& mark, const std::string& tag) {
    if (!is_plain_tag(tag)) refuse(mark, "the tag \"" + tag + "\" means nothing here; leave it out");
  }
  void refuse(const YAML::Mark& mark, const std::string& what) {
    parsing_.faults.add_at(at(mark), kSyntaxKey, what);
  }
  [[nodiscard]] Position at(const YAML::Mark& mark) const { return position_of(mark, parsing_.file); }

  /// Whether `more` nodes still fit. If not, reports it once, and nothing is added any more.
  bool has_room(Position position, std::size_t more) {
    if (full_) return false;
    parsing_.spent += more;
    full_ = parsing_.spent > kMostNodes;
    if (full_) {
      parsing_.faults.miss_a_file();
      parsing_.faults.add_at(position, kSyntaxKey,
                             "the configuration has more than " + std::to_string(kMostNodes) +
                                 " values with its aliases expanded; that is too many");
    }
    return !full_;
  }

  void open(Node::Kind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    check_tag(mark, tag);
    open_.push_back({{kind, {}, at(mark), {}}, anchor});
  }
  void close() {
    Open closed = std::move(open_.back());
    open_.pop_back();
    add(std::move(closed.node), closed.anchor);
  }

  void add(Node node, YAML::anchor_t anchor) {
    if (!has_room(node.position, cost_alone(node))) return;
    if (anchor != YAML::NullAnchor) {
      const std::size_t copy_cost = cost(node);
      if (!has_room(node.position, copy_cost)) return;
      anchored_.insert_or_assign(anchor, Anchored{node, copy_cost});
    }
    put(std::move(node));
  }
  void put(Node node) { (open_.empty() ? root_ : open_.back().node.items.emplace_back()) = std::move(node); }

  Parsing& parsing_;
  Node root_;
  std::vector<Open> open_;
  std::unordered_map<YAML::anchor_t, Anchored> anchored_;
  bool full_ = false;
};

/// The line with this number, from 1; empty where there is none.
std::string_view line_of(std::string_view text, int line) {
  for (int number = 1; number < line; ++number) {
    const std::size_t end = text.find('\n');
    if (end == text.npos) return {};
    text.remove_prefix(end + 1);
  }
  return line < 1 ? std::string_view() : text.substr(0, text.find_first_of("\r\n"));
}

/// Whether a tab indents the line. The parser's own message does not name this mistake.
bool tab_indents(std::string_view line) {
  return line.substr(0, line.find_first_not_of(" \t")).find('\t') != line.npos;
}

/// The unquoted word that begins at `begin`, in quotes.
std::string word_at(std::string_view line, std::size_t begin) {
  const std::string_view rest = line.substr(begin);
  const bool is_address = rest.starts_with('[');
  const std::size_t inside = is_address ? std::min(rest.find(']'), rest.size()) : 0;
  return quote(rest.substr(0, rest.find_first_of(" \t,]}", inside + (is_address ? 1 : 0))));
}

/// The variable ("${PORT}") of which the character `at` is a part, or that ends in front of it.
std::string_view variable_at(std::string_view line, std::size_t at) {
  const std::size_t begin = line.rfind("${", at);
  if (begin == line.npos) return {};
  const std::size_t end = line.find('}', begin);
  return end == line.npos || end + 1 < at ? std::string_view() : line.substr(begin, end + 1 - begin);
}

/// What to write where a value lacks the quotes that YAML wants around it; empty if that is not the mistake.
/// `at` is where the parser gave up.
std::string quotes_missing(std::string_view line, std::size_t at) {
  if (at >= line.size()) return {};
  if (const std::string_view variable = variable_at(line, at); !variable.empty())
    return "between brackets YAML takes the { of a variable for its own; put quotes around the value with " +
           quote(variable);
  const std::size_t star = line[at] == '*' || at == 0 ? at : at - 1;  // the parser stops at "*" or behind it
  if (line[star] == '*')
    return "an unquoted * is a reference in YAML; write " + word_at(line, star) + ", with the quotes";
  if (line[at] == ':' && at > 0 && line[at - 1] == ']') {
    const std::size_t begin = line.rfind('[', at);
    return "an unquoted [ begins a list in YAML; write " + word_at(line, begin == line.npos ? at : begin) +
           ", with the quotes";
  }
  if (line[at] == ':')
    return "a value with \": \" in it needs quotes, because YAML takes the text before it for a key";
  if (line[at] == '@' || line[at] == '`' || line[at] == '%')
    return "YAML keeps @, ` and % at the begin of a word for itself; write " + word_at(line, at) +
           ", with the quotes";
  return {};
}

void add_syntax_fault(std::string_view text, const YAML::Exception& error, const Parsing& parsing) {
  const Position position =
      error.mark.is_null() ? Position{.file = parsing.file} : position_of(error.mark, parsing.file);
  const std::string_view line = line_of(text, position.line);
  std::string what = "this is not YAML: " + error.msg;
  if (tab_indents(line) || tab_indents(line_of(text, position.line - 1))) {
    what = "a tab indents this line or the one above; YAML indents with spaces";
  } else if (position.column > 0) {
    const std::string hint = quotes_missing(line, static_cast<std::size_t>(position.column - 1));
    if (!hint.empty()) what = hint;
  }
  parsing.faults.miss_a_file();
  parsing.faults.add_at(position, kSyntaxKey, what);
}

Node parse_one(std::string_view text, Parsing& parsing) {
  std::istringstream stream{std::string(text)};
  YAML::Parser parser(stream);
  TreeBuilder builder(parsing);
  parser.HandleNextDocument(builder);
  TreeBuilder behind(parsing);
  parser.HandleNextDocument(behind);
  if (const Node second = behind.take(); second.kind != Node::Kind::kNull) {
    parsing.faults.add_at(second.position, kSyntaxKey,
                          "a second document begins here; a configuration is one document, without \"---\"");
  }
  return builder.take();
}

/// Gathers the entries of one map and of those it merges.
class EntryGatherer {
 public:
  EntryGatherer(const std::string& path, Faults& faults) : path_(path), faults_(faults) {}

  /// Of entries with the same key the first one gathered wins: a map's own entry before a merged one, and an
  /// earlier merged one before a later one.
  enum class Repeated { kFault, kOverridden };
  void gather(const Node& map, Repeated repeated) {
    std::vector<const Node*> sources;
    for (std::size_t index = 0; index + 1 < map.items.size(); index += 2) {
      const Node& key = map.items[index];
      const Node& value = map.items[index + 1];
      if (key.kind == Node::Kind::kScalar && key.scalar == kMergeKey) {
        sources.push_back(&value);
      } else {
        add(key, value, repeated);
      }
    }
    for (const Node* source : sources) merge(*source);
  }
  [[nodiscard]] std::vector<Entry> take() { return std::move(gathered_); }

 private:
  void add(const Node& key, const Node& value, Repeated repeated) {
    if (key.kind != Node::Kind::kScalar) {
      return faults_.add_at(key.position, path_,
                            "a key is a word, not " + std::string(description(key.kind)) +
                                (key.kind == Node::Kind::kList ? kAddressLacksQuotes : ""));
    }
    const auto [first, fresh] = seen_.emplace(key.scalar, key.position);
    if (fresh) {
      gathered_.push_back({key.scalar, key.position, &value});
    } else if (repeated == Repeated::kFault) {
      faults_.add_at(key.position, path_.empty() ? key.scalar : path_ + '.' + key.scalar,
                     "is given twice, first on line " + std::to_string(first->second.line) + "; keep one");
    }
  }

  void merge(const Node& source) {
    if (source.kind == Node::Kind::kMap) return gather(source, Repeated::kOverridden);
    if (source.kind != Node::Kind::kList) {
      return faults_.add_at(source.position, path_, "\"<<\" merges a map or a list of maps");
    }
    for (const Node& item : source.items) merge(item);
  }

  const std::string& path_;
  Faults& faults_;
  std::vector<Entry> gathered_;
  std::unordered_map<std::string_view, Position> seen_;
};

/// A key file that was given as the configuration is not parsed, so that no message has a part of it.
bool is_pem(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  return begin != text.npos && text.substr(begin).starts_with("-----BEGIN");
}

}  // namespace

Node parse_document(std::string_view text, Parsing& parsing) {
  const auto refuse = [&parsing](Position position, const char* key, const std::string& what) {
    position.file = parsing.file;
    parsing.faults.miss_a_file();
    parsing.faults.add_at(position, key, what);
    return Node{};
  };
  if (text.size() > kLongestDocumentBytes)
    return refuse({}, "", "is longer than 16 MiB; no configuration is that long");
  if (is_pem(text)) return refuse({1, 1}, kSyntaxKey, "this is a PEM file, not a configuration");
  try {
    return parse_one(text, parsing);
  } catch (const YAML::DeepRecursion& error) {
    return refuse(position_of(error.mark, parsing.file), kSyntaxKey,
                  "is nested too deeply for a configuration");
  } catch (const YAML::Exception& error) {
    add_syntax_fault(text, error, parsing);
  } catch (const std::exception& error) {
    return refuse({}, kSyntaxKey, std::string("cannot be parsed: ") + error.what());
  }
  return {};
}

std::vector<Entry> entries(const Node& map, const std::string& path, Faults& faults) {
  EntryGatherer gatherer(path, faults);
  gatherer.gather(map, EntryGatherer::Repeated::kFault);
  return gatherer.take();
}

std::string_view description(Node::Kind kind) {
  switch (kind) {
    case Node::Kind::kNull:
      return "nothing";
    case Node::Kind::kScalar:
      return "text";
    case Node::Kind::kList:
      return "a list";
    case Node::Kind::kMap:
      return "a map";
  }
  return "nothing";
}

}  // namespace headgate::config
