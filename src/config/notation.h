#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/units.h"

/// How values are written. A notation reads one kind of value from its text and writes it back:
///
///   Result<T> parse(std::string_view text, const std::string& directory) const;
///   std::string text(const T& value) const;
///   Form form() const;
///
/// text() writes what parse() reads as the same value. A parse() error is kInvalid and says what to write.
/// `directory` is what relative paths are relative to. Pure; any thread.
namespace headgate::config {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// A notation as the schema describes it.
struct Form {
  std::string_view
      kind;  ///< The name of a definition of the schema; "word" and "integer" have the rest here.
  std::vector<std::string> words{};  ///< Of a "word".
  std::int64_t minimum = 0;          ///< Of an "integer".
  std::int64_t maximum = 0;
  bool quoted = true;  ///< Whether YAML needs quotes around the text, whatever it is.
};

/// `text` in double quotes, for messages: on one line, cut when it is long, and not shown when it is a key.
[[nodiscard]] std::string quote(std::string_view text);
/// Why `text` cannot be a value of any key: it is key material (base/secret_text.h).
[[nodiscard]] std::optional<Error> refuse_secret(std::string_view text);
/// "on" and "off" for every way in which YAML writes a boolean; anything else as it is.
[[nodiscard]] std::string_view without_boolean_synonyms(std::string_view text);
/// `path` in `directory`; an absolute or empty path as it is.
[[nodiscard]] std::string resolved(std::string_view path, const std::string& directory);
/// The same for a text that an operator wrote. Errors, kInvalid: it has control characters, or is a key.
[[nodiscard]] Result<std::string> parse_path(std::string_view text, const std::string& directory);
[[nodiscard]] tl::unexpected<Error> not_one_of(std::string_view text, const std::vector<std::string>& words);
[[nodiscard]] Result<std::int64_t> parse_integer(std::string_view text, std::int64_t minimum,
                                                 std::int64_t maximum);
/// "250ms", "10s", "5m", "12h".
[[nodiscard]] Result<milliseconds> parse_duration(std::string_view text, milliseconds minimum,
                                                  milliseconds maximum);
/// In the largest unit that holds it exactly.
[[nodiscard]] std::string duration_text(milliseconds duration);
/// "16KiB", "512MiB", "2GiB", or "0".
[[nodiscard]] Result<Bytes> parse_size(std::string_view text);
/// In the largest unit that holds it exactly. `size` is a whole number of KiB.
[[nodiscard]] std::string size_text(Bytes size);

/// Any text at all.
struct Text {
  [[nodiscard]] Result<std::string> parse(std::string_view text, const std::string&) const {
    return std::string(text);
  }
  [[nodiscard]] std::string text(const std::string& value) const { return value; }
  [[nodiscard]] Form form() const { return {.kind = "text"}; }
};

/// A file or directory. `word` ("system") may be given instead and is kept as it is.
struct Path {
  std::string_view word = "";

  [[nodiscard]] Result<std::string> parse(std::string_view text, const std::string& directory) const {
    return text == word ? std::string(text) : parse_path(text, directory);
  }
  [[nodiscard]] std::string text(const std::string& value) const { return value; }
  [[nodiscard]] Form form() const { return {.kind = "path"}; }
};

/// A file with a secret. No variable of the environment is put into such a value: an operator who keeps the
/// secret itself in a variable must not have it shown.
struct SecretPath : Path {
  static constexpr bool kTakesVariables = false;
};

/// A whole number in a range.
template <class T>
struct Number {
  T minimum = 0;
  T maximum = std::numeric_limits<T>::max();

  [[nodiscard]] Result<T> parse(std::string_view text, const std::string&) const {
    return parse_integer(text, minimum, maximum).map([](std::int64_t number) {
      return static_cast<T>(number);
    });
  }
  [[nodiscard]] std::string text(T value) const { return std::to_string(value); }
  [[nodiscard]] Form form() const {
    return {.kind = "integer", .minimum = minimum, .maximum = maximum, .quoted = false};
  }
};

/// A number with its unit, in a range.
template <class T>
struct DurationText {
  T minimum{0};
  T maximum{std::chrono::hours(87'600)};
  std::string_view kind = "duration";  ///< The definition of the schema that has this range.

  [[nodiscard]] Result<T> parse(std::string_view text, const std::string&) const {
    const auto parsed = parse_duration(text, minimum, maximum);
    if (!parsed) return tl::unexpected(parsed.error());
    const T duration = std::chrono::duration_cast<T>(*parsed);
    if (duration != *parsed)
      return fail(ErrorKind::kInvalid, quote(text) + " is not a whole number of seconds");
    return duration;
  }
  [[nodiscard]] std::string text(T value) const { return duration_text(value); }
  [[nodiscard]] Form form() const { return {.kind = kind, .quoted = false}; }
};

/// A number of bytes with its unit, or 0.
struct SizeText {
  [[nodiscard]] Result<Bytes> parse(std::string_view text, const std::string&) const {
    return parse_size(text);
  }
  [[nodiscard]] std::string text(Bytes value) const { return size_text(value); }
  [[nodiscard]] Form form() const { return {.kind = "size", .quoted = false}; }
};

/// One of a few words, each with its value. "on" and "off" may also be written as YAML's booleans. The last
/// `unavailable` words are known, but this version refuses them by name and offers them nowhere.
template <class T, std::size_t N>
struct Words {
  std::array<std::pair<std::string_view, T>, N> rows;
  std::string_view kind = "word";
  std::size_t unavailable = 0;

  [[nodiscard]] Result<T> parse(std::string_view text, const std::string&) const {
    for (std::size_t i = 0; i < N; ++i) {
      const auto& [word, value] = rows[i];
      if (word != text && word != without_boolean_synonyms(text)) continue;
      if (i < N - unavailable) return value;
      return fail(ErrorKind::kInvalid, quote(text) + " is not available in this version");
    }
    return not_one_of(text, form().words);
  }
  [[nodiscard]] std::string text(T value) const {
    for (const auto& [word, row_value] : rows) {
      if (row_value == value) return std::string(word);
    }
    return {};
  }
  [[nodiscard]] Form form() const {
    Form form{.kind = kind, .quoted = false};
    for (std::size_t i = 0; i < N - unavailable; ++i) form.words.emplace_back(rows[i].first);
    return form;
  }
};

template <class T, std::size_t N>
constexpr Words<T, N> words(const std::pair<std::string_view, T> (&rows)[N], std::string_view kind = "word",
                            std::size_t unavailable = 0) {
  return {std::to_array(rows), kind, unavailable};
}

inline constexpr auto kSwitch = words<bool>({{"on", true}, {"off", false}}, "switch");

}  // namespace headgate::config
