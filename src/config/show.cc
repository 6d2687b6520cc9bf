#include "config/show.h"

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "config/keys.h"

namespace headgate::config {
namespace {

constexpr std::size_t kIndent = 2;

/// `text` in double quotes, so that YAML reads back the same bytes (YAML 1.2 section 5.7).
std::string in_quotes(std::string_view text) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string quotes = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      (quotes += '\\') += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      ((quotes += "\\x") += digits[byte >> 4]) += digits[byte & 0xf];
    } else {
      quotes += c;
    }
  }
  return quotes + '"';
}

std::string scalar(const std::string& text, const Form& form) {
  return form.quoted ? in_quotes(text) : text;
}

template <class T, class Notation>
std::string flow_list(const std::vector<T>& list, const Notation& notation) {
  std::string items;
  for (const T& element : list) {
    items += (items.empty() ? "" : ", ") + scalar(notation.text(element), notation.form());
  }
  return '[' + items + ']';
}

/// What each key of an object holds, as text, by its path ("limits.max_connections").
using KeyTexts = std::map<std::string, std::string, std::less<>>;

/// The visitor of keys.h that collects the texts of one object, without the objects of its lists.
class KeyTextReader {
 public:
  template <class T, class Notation>
  void value(std::string_view key, T& target, const Notation& notation) {
    add(key, scalar(notation.text(target), notation.form()));
  }
  template <class T, class Notation>
  void list(std::string_view key, std::vector<T>& target, const Notation& notation, ListForm) {
    add(key, flow_list(target, notation));
  }
  template <class T>
  void map(std::string_view key, T& target) {
    const std::size_t size = path_.size();
    path_.append(key).append(".");
    visit_keys(*this, target);
    path_.resize(size);
  }
  template <class T>
  void admitting_map(std::string_view key, T& target) {
    map(key, target);
  }
  template <class T>
  void optional_map(std::string_view, std::optional<T>&) {}
  template <class T>
  void maps(std::string_view, std::vector<T>&, std::string_view) {}
  template <class T, class Notation>
  void named_maps(std::string_view, std::map<std::string, T>&, const Notation&) {}
  template <class T, class Notation, class NameNotation>
  void value_or_map(std::string_view key, T& target, std::map<std::string, T>&, const Notation& notation,
                    const NameNotation&) {
    value(key, target, notation);
  }
  template <class T, class Notation, class Map>
  void value_or_keys(std::string_view key, T& target, const Notation& notation, Map& keys, bool) {
    value(key, target, notation);
    map(key, keys);
  }

  [[nodiscard]] KeyTexts take() { return std::move(texts_); }

 private:
  void add(std::string_view key, std::string text) { texts_[path_ + std::string(key)] = std::move(text); }

  std::string path_;
  KeyTexts texts_;
};

template <class T>
const KeyTexts& defaults_of() {
  static const KeyTexts defaults = [] {
    T fresh{};
    KeyTextReader reader;
    visit_keys(reader, fresh);
    return reader.take();
  }();
  return defaults;
}

enum class Keys { kAll, kChanged };

/// The visitor of keys.h that writes YAML.
class YamlWriter {
 public:
  explicit YamlWriter(Keys keys) : keys_(keys) {}

  template <class T, class Notation>
  void value(std::string_view key, T& target, const Notation& notation) {
    entry(key, scalar(notation.text(target), notation.form()));
  }

  template <class T, class Notation>
  void list(std::string_view key, std::vector<T>& target, const Notation& notation, ListForm form) {
    if (form == ListForm::kAdmitting && target.empty()) return admits_all(key);
    entry(key, flow_list(target, notation));
  }

  template <class T>
  void map(std::string_view key, T& target) {
    const std::size_t begin = yaml_.size();
    line(key, "");
    const std::size_t header_end = yaml_.size();
    const std::size_t path_size = path_.size();
    path_.append(key).append(".");
    nested(target);
    path_.resize(path_size);
    if (yaml_.size() == header_end && keys_ == Keys::kChanged) yaml_.resize(begin);
  }

  template <class T>
  void admitting_map(std::string_view key, T& target) {
    if (target.empty()) return admits_all(key);
    map(key, target);
  }

  template <class T>
  void optional_map(std::string_view key, std::optional<T>& target) {
    if (!target) return;
    line(key, "");
    const std::size_t header_end = yaml_.size();
    object(*target);
    if (yaml_.size() == header_end) yaml_.insert(header_end - 1, " {}");
  }

  template <class T>
  void maps(std::string_view key, std::vector<T>& target, std::string_view) {
    if (target.empty() && keys_ == Keys::kChanged) return;
    line(key, target.empty() ? "[]" : "");
    for (T& element : target) {
      const std::size_t begin = yaml_.size();
      indent_ += kIndent;
      object(element);
      indent_ -= kIndent;
      if (yaml_.size() == begin) yaml_.append(indent_ + 2 * kIndent, ' ').append("{}\n");
      yaml_[begin + indent_ + kIndent] = '-';
    }
  }

  template <class T, class Notation>
  void named_maps(std::string_view key, std::map<std::string, T>& target, const Notation& notation) {
    if (target.empty() && keys_ == Keys::kChanged) return;
    line(key, target.empty() ? "{}" : "");
    indent_ += kIndent;
    for (auto& [name, element] : target) {
      line(scalar(name, notation.form()), "");
      object(element);
    }
    indent_ -= kIndent;
  }

  template <class T, class Notation, class NameNotation>
  void value_or_map(std::string_view key, T& target, std::map<std::string, T>& by_name,
                    const Notation& notation, const NameNotation& name_notation) {
    if (by_name.empty()) return value(key, target, notation);
    line(key, "");
    indent_ += kIndent;
    for (auto& [name, element] : by_name) {
      line(scalar(name, name_notation.form()), scalar(notation.text(element), notation.form()));
    }
    indent_ -= kIndent;
  }

  template <class T, class Notation, class Map>
  void value_or_keys(std::string_view key, T& target, const Notation& notation, Map& keys, bool value_alone) {
    if (value_alone) return value(key, target, notation);
    map(key, keys);
  }

  /// Writes the keys of a whole object, whose defaults are those of its type.
  template <class T>
  void root(T& target) {
    defaults_ = &defaults_of<T>();
    visit_keys(*this, target);
  }

  [[nodiscard]] std::string take() { return std::move(yaml_); }

 private:
  /// A comment, since the key would be a fault without an entry.
  void admits_all(std::string_view key) {
    if (keys_ == Keys::kAll) line("# " + std::string(key), "all");
  }

  void entry(std::string_view key, const std::string& text) {
    if (keys_ == Keys::kChanged) {
      const auto found = defaults_->find(path_ + std::string(key));
      if (found != defaults_->end() && found->second == text) return;
    }
    line(key, text);
  }

  void line(std::string_view key, std::string_view text) {
    yaml_.append(indent_, ' ').append(key).append(text.empty() ? ":" : ": ").append(text).append("\n");
  }

  template <class T>
  void nested(T& target) {
    indent_ += kIndent;
    visit_keys(*this, target);
    indent_ -= kIndent;
  }

  /// An object of a list, or one that may be absent.
  template <class T>
  void object(T& target) {
    const KeyTexts* const outer = std::exchange(defaults_, &defaults_of<T>());
    const std::string path = std::exchange(path_, {});
    nested(target);
    defaults_ = outer;
    path_ = path;
  }

  Keys keys_;
  const KeyTexts* defaults_ = nullptr;
  std::string path_;  // of the map at hand, in the object that `defaults_` describes
  std::string yaml_;
  std::size_t indent_ = 0;
};

std::string yaml_of(const Config& config, Keys keys) {
  Config shown = config;  // visitors take an object that they may also change
  YamlWriter writer(keys);
  writer.root(shown);
  return writer.take();
}

}  // namespace

std::string show(const Config& config) {
  return yaml_of(config, Keys::kAll);
}

std::string show_changes(const Config& config) {
  return yaml_of(config, Keys::kChanged);
}

}  // namespace headgate::config
