#include "config/show.h"

#include <cstddef>
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

/// The visitor of keys.h that writes YAML.
class YamlWriter {
 public:
  template <class T, class Notation>
  void value(std::string_view key, T& target, const Notation& notation) {
    line(key, scalar(notation.text(target), notation.form()));
  }

  template <class T, class Notation>
  void list(std::string_view key, std::vector<T>& target, const Notation& notation, ListForm form) {
    if (form == ListForm::kAdmitting && target.empty()) return admits_all(key);
    std::string items;
    for (const T& element : target) {
      items += (items.empty() ? "" : ", ") + scalar(notation.text(element), notation.form());
    }
    line(key, '[' + items + ']');
  }

  template <class T>
  void map(std::string_view key, T& target) {
    line(key, "");
    nested(target);
  }

  template <class T>
  void admitting_map(std::string_view key, T& target) {
    if (target.empty()) return admits_all(key);
    map(key, target);
  }

  template <class T>
  void optional_map(std::string_view key, std::optional<T>& target) {
    if (target) map(key, *target);
  }

  template <class T>
  void maps(std::string_view key, std::vector<T>& target, std::string_view) {
    line(key, target.empty() ? "[]" : "");
    for (T& element : target) {
      const std::size_t begin = yaml_.size();
      indent_ += kIndent;
      nested(element);
      indent_ -= kIndent;
      yaml_[begin + indent_ + kIndent] = '-';
    }
  }

  template <class T, class Notation>
  void named_maps(std::string_view key, std::map<std::string, T>& target, const Notation& notation) {
    line(key, target.empty() ? "{}" : "");
    indent_ += kIndent;
    for (auto& [name, element] : target) {
      line(scalar(name, notation.form()), "");
      nested(element);
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

  [[nodiscard]] std::string take() { return std::move(yaml_); }

 private:
  static std::string scalar(const std::string& text, const Form& form) {
    return form.quoted ? in_quotes(text) : text;
  }

  /// A comment, since the key would be a fault without an entry.
  void admits_all(std::string_view key) { line("# " + std::string(key), "all"); }

  void line(std::string_view key, std::string_view text) {
    yaml_.append(indent_, ' ').append(key).append(text.empty() ? ":" : ": ").append(text).append("\n");
  }

  template <class T>
  void nested(T& target) {
    indent_ += kIndent;
    visit_keys(*this, target);
    indent_ -= kIndent;
  }

  std::string yaml_;
  std::size_t indent_ = 0;
};

}  // namespace

std::string show(const Config& config) {
  Config shown = config;  // visitors take an object that they may also change
  YamlWriter writer;
  visit_keys(writer, shown);
  return writer.take();
}

}  // namespace headgate::config
