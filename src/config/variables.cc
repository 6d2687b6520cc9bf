#include "config/variables.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <span>
#include <utility>

#include "base/ascii.h"
#include "base/secret_text.h"
#include "base/utf8.h"
#include "config/nearest.h"

namespace headgate::config {
namespace {

constexpr std::string_view kBegin = "${";
constexpr std::string_view kLiteral = "$$";
constexpr std::string_view kDefault = ":-";
constexpr std::size_t kLongestValue = 4096;

tl::unexpected<Error> refuse(std::string what) {
  return fail(ErrorKind::kInvalid, std::move(what));
}

bool is_name(std::string_view text) {
  const auto may_begin = [](char c) { return c == '_' || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z'); };
  return !text.empty() && may_begin(text.front()) &&
         std::ranges::all_of(text, [&](char c) { return may_begin(c) || (c >= '0' && c <= '9'); });
}

bool has_any(std::string_view text, std::span<const std::string_view> parts) {
  return std::ranges::any_of(parts, [&](std::string_view part) { return text.find(part) != text.npos; });
}

/// Whether a word of the name says that its value is a secret. A name that ends as that of a file's path
/// does not.
bool tells_of_secret(std::string_view name) {
  const std::string lower = '_' + ascii_lower(name) + '_';
  const auto ends_in = [&](std::string_view word) { return lower.ends_with(word); };
  if (ends_in("_file_") || ends_in("_path_") || ends_in("_dir_")) return false;
  constexpr std::array<std::string_view, 7> kParts{"password",   "passwd", "passphrase", "secret",
                                                   "credential", "token",  "apikey"};
  constexpr std::array<std::string_view, 4> kWords{"_key_", "_keys_", "_pass_", "_pwd_"};
  return has_any(lower, kParts) || has_any(lower, kWords);
}

tl::unexpected<Error> refuse_secret_name(std::string_view name) {
  return refuse(
      "the name " + quote(name) +
      " is that of a secret, and what is put in is shown by `check` and `show`; keep the secret in a "
      "file. A variable with the file's path may be named ..._FILE");
}

/// Why `value` cannot stand in a configuration.
std::optional<std::string> unfit(std::string_view value) {
  if (holds_secret(value)) return "holds a key or a certificate itself (it is not shown); keep it in a file";
  if (value.size() > kLongestValue)
    return "is longer than " + std::to_string(kLongestValue) + " bytes; a variable holds a single value";
  for (std::size_t at = 0; at < value.size();) {
    const auto byte = static_cast<unsigned char>(value[at]);
    if (byte < 0x20 || byte == 0x7f)
      return "has a line break or another control character in it; a variable holds a single value";
    const std::size_t length = utf8_length(value, at);
    if (length == 0) return "is not UTF-8";
    at += length;
  }
  return std::nullopt;
}

std::string reference(std::string_view name) {
  return "${" + std::string(name) + '}';
}

}  // namespace

Result<std::string> check_variable_pattern(std::string_view text) {
  const bool is_prefix = text.ends_with('*');
  const std::string_view name = is_prefix ? text.substr(0, text.size() - 1) : text;
  if (text == "*")
    return refuse("\"*\" would permit every variable; write their names, or a beginning: \"APP_*\"");
  if (!is_name(name)) {
    return refuse(
        quote(text) +
        " is not the name of a variable; write one like PORT, or the beginning of several: \"APP_*\"");
  }
  if (!is_prefix && tells_of_secret(name)) return refuse_secret_name(name);
  return std::string(text);
}

std::string PutIn::text() const {
  return name + (is_default ? " is not set, so its default is put in: " : " of the environment is ") +
         quote(value);
}

Result<Variables::Value> Variables::put_in(std::string_view text, Showing showing) {
  Value value;
  while (!text.empty()) {
    const std::size_t dollar = std::min(text.find('$'), text.size());
    value.text += text.substr(0, dollar);
    text.remove_prefix(dollar);
    if (text.starts_with(kLiteral)) {
      value.text += '$';
      text.remove_prefix(kLiteral.size());
    } else if (text.starts_with(kBegin)) {
      const std::size_t end = text.find('}');
      if (end == text.npos)
        return refuse("\"${\" begins a variable that no \"}\" ends; the text itself is written $${");
      if (showing == Showing::kMayBeSecret) {
        return refuse(
            "no variable is put in here, since the key is about a secret and variables are shown; write the "
            "value itself, and $${ for \"${\"");
      }
      auto variable = evaluate(text.substr(kBegin.size(), end - kBegin.size()));
      if (!variable) return tl::unexpected(std::move(variable.error()));
      spent_bytes_ += variable->value.size();
      if (spent_bytes_ > kMostBytes)
        return refuse("the variables of this configuration put in more than 1 MiB");
      value.text += variable->value;
      value.variables.push_back(*std::move(variable));
      text.remove_prefix(end + 1);
    } else if (!text.empty()) {
      value.text += '$';
      text.remove_prefix(1);
    }
  }
  return value;
}

Result<PutIn> Variables::evaluate(std::string_view expression) const {
  const std::size_t name_end = std::min(expression.find_first_of(":-?+="), expression.size());
  const std::string name(expression.substr(0, name_end));
  const std::string_view rest = expression.substr(name_end);
  if (!is_name(name) || (!rest.empty() && !rest.starts_with(kDefault)))
    return refuse(quote("${" + std::string(expression) + '}') +
                  " is not a variable; write ${NAME}, or ${NAME:-DEFAULT}; the text itself is written $${");
  if (tells_of_secret(name)) return refuse_secret_name(name);
  if (!is_allowed(name))
    return refuse(reference(name) + " is not in `environment`, which names the variables that may be put in" +
                  suggestion(name, allowed_));
  const char* found = std::getenv(name.c_str());
  if (found != nullptr && *found != '\0') {
    if (auto why = unfit(found)) return refuse("the value of " + reference(name) + ' ' + *why);
    return PutIn{name, found, false};
  }
  if (rest.empty()) {
    return refuse(reference(name) + (found == nullptr ? " is not set" : " is set, but empty") +
                  "; set it where Headgate is started, or give a default: ${" + name + ":-DEFAULT}");
  }
  const std::string_view value = rest.substr(kDefault.size());
  if (value.find(kBegin) != value.npos)
    return refuse("the default of " + reference(name) + " cannot have a variable in it");
  return PutIn{name, std::string(value), true};
}

bool Variables::is_allowed(std::string_view name) const {
  return std::ranges::any_of(allowed_, [name](std::string_view pattern) {
    if (!pattern.ends_with('*')) return pattern == name;
    return name.starts_with(pattern.substr(0, pattern.size() - 1));
  });
}

}  // namespace headgate::config
