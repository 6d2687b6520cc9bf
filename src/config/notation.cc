#include "config/notation.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <system_error>

#include "base/secret_text.h"
#include "config/nearest.h"

namespace headgate::config {
namespace {

struct Unit {
  std::string_view name;
  milliseconds length;
};

// The longest first: a duration is written in the first unit that divides it.
constexpr std::array<Unit, 4> kUnits{{{"h", std::chrono::hours(1)},
                                      {"m", std::chrono::minutes(1)},
                                      {"s", seconds(1)},
                                      {"ms", milliseconds(1)}}};

constexpr std::size_t kLongestQuote = 80;

std::optional<milliseconds> length_of(std::string_view unit) {
  const auto* found =
      std::find_if(kUnits.begin(), kUnits.end(), [unit](const Unit& row) { return row.name == unit; });
  return found == kUnits.end() ? std::nullopt : std::optional(found->length);
}

tl::unexpected<Error> no_duration(std::string_view text) {
  return fail(ErrorKind::kInvalid, quote(text) + " is not a duration; write one like 250ms, 10s, 5m or 12h");
}

struct SizeUnit {
  std::string_view name;
  Bytes size;
};

// The largest first: a size is written in the first unit that divides it.
constexpr std::array<SizeUnit, 3> kSizeUnits{{{"GiB", 1024_MiB}, {"MiB", 1_MiB}, {"KiB", 1_KiB}}};
constexpr Bytes kMostBytes{1024 * 1024 * (1024_MiB).count};

tl::unexpected<Error> no_size(std::string_view text) {
  return fail(ErrorKind::kInvalid, quote(text) + " is not a size; write one like 16KiB, 512MiB or 2GiB");
}

}  // namespace

std::string quote(std::string_view text) {
  if (holds_secret(text) || resembles_key(text)) return "\"(a key, not shown)\"";
  std::string quotes = "\"";
  for (const char c : text.substr(0, kLongestQuote)) quotes += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
  return quotes + (text.size() > kLongestQuote ? "...\"" : "\"");
}

std::optional<Error> refuse_secret(std::string_view text) {
  if (!holds_secret(text)) return std::nullopt;
  return Error{.kind = ErrorKind::kInvalid,
               .what =
                   "this is a key or a certificate itself (it is not shown); keep it in a file, and give "
                   "the file's path where a path belongs"};
}

std::string_view without_boolean_synonyms(std::string_view text) {
  for (const auto* word : {"on", "On", "ON", "true", "True", "TRUE", "yes", "Yes", "YES"}) {
    if (text == word) return "on";
  }
  for (const auto* word : {"off", "Off", "OFF", "false", "False", "FALSE", "no", "No", "NO"}) {
    if (text == word) return "off";
  }
  return text;
}

std::string resolved(std::string_view path, const std::string& directory) {
  if (path.empty()) return {};
  return (std::filesystem::path(directory) / path).lexically_normal().string();
}

Result<std::string> parse_path(std::string_view text, const std::string& directory) {
  if (std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; })) {
    return fail(ErrorKind::kInvalid, "a path cannot have line breaks or other control characters in it");
  }
  if (resembles_key(text)) {
    return fail(
        ErrorKind::kInvalid,
        "this looks like a key, not like the path of a file; write \"./\" in front of a path like this");
  }
  return resolved(text, directory);
}

tl::unexpected<Error> not_one_of(std::string_view text, const std::vector<std::string>& words) {
  return fail(ErrorKind::kInvalid, quote(text) + " is not known here; write " + enumeration(words, "or") +
                                       suggestion(text, words));
}

Result<std::int64_t> parse_integer(std::string_view text, std::int64_t minimum, std::int64_t maximum) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = error != std::errc::invalid_argument && end == text.data() + text.size();
  if (whole && error == std::errc{} && number >= minimum && number <= maximum) return number;
  return fail(ErrorKind::kInvalid, quote(text) + (whole ? " is out of range" : " is not a whole number") +
                                       "; write one from " + std::to_string(minimum) + " to " +
                                       std::to_string(maximum));
}

Result<milliseconds> parse_duration(std::string_view text, milliseconds minimum, milliseconds maximum) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc::invalid_argument || number < 0) return no_duration(text);
  const std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
  if (unit.empty()) {
    return fail(ErrorKind::kInvalid, quote(text) + " has no unit; write " + std::string(text) +
                                         "s for seconds (ms, s, m and h are known)");
  }
  const auto length = length_of(unit);
  if (!length) return no_duration(text);
  if (error != std::errc{} || number > maximum / *length) {
    return fail(ErrorKind::kInvalid, quote(text) + " is too long; at most " + duration_text(maximum));
  }
  if (number * *length < minimum) {
    return fail(ErrorKind::kInvalid, quote(text) + " is too short; at least " + duration_text(minimum));
  }
  return number * *length;
}

std::string duration_text(milliseconds duration) {
  if (duration == milliseconds(0)) return "0s";
  const auto* unit = std::find_if(kUnits.begin(), kUnits.end(), [duration](const Unit& row) {
    return duration % row.length == milliseconds(0);
  });
  return std::to_string(duration / unit->length).append(unit->name);
}

Result<Bytes> parse_size(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc::invalid_argument) return no_size(text);
  const std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
  if (unit.empty() && number == 0 && error == std::errc{}) return Bytes{};
  if (unit.empty()) {
    return fail(ErrorKind::kInvalid, quote(text) + " has no unit; write " + std::string(text) +
                                         "MiB for mebibytes (KiB, MiB and GiB are known)");
  }
  const auto* found = std::ranges::find(kSizeUnits, unit, &SizeUnit::name);
  if (found == kSizeUnits.end()) return no_size(text);
  if (error != std::errc{} || number > kMostBytes.count / found->size.count)
    return fail(ErrorKind::kInvalid, quote(text) + " is too large; at most " + size_text(kMostBytes));
  return Bytes{number * found->size.count};
}

std::string size_text(Bytes size) {
  if (size.count == 0) return "0";
  const auto* unit = std::ranges::find_if(
      kSizeUnits, [size](const SizeUnit& row) { return size.count % row.size.count == 0; });
  return std::to_string(size.count / unit->size.count).append(unit->name);
}

}  // namespace headgate::config
