#include "cli/haproxy_file.h"

#include <algorithm>
#include <map>
#include <utility>

#include "cli/import_words.h"

namespace headgate {
namespace {

/// The words of a line, without quotes, backslashes and the comment.
struct HaproxyWords {
  Words words;
  bool variable = false;  ///< A word in double quotes, or an open one, has "$".
  bool encoded = false;   ///< A word has "\\n", "\\x41" or the like.
  bool open = false;      ///< A quote does not end.
};

HaproxyWords words_in(std::string_view text) {
  HaproxyWords found;
  std::string word;
  bool in_word = false;
  char quote = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote != 0 ? c == quote : c == '"' || c == '\'') {
      quote = quote != 0 ? '\0' : c;
      in_word = true;
    } else if (c == '\\' && quote != '\'' && i + 1 < text.size()) {
      found.encoded = found.encoded || std::string_view("nrtx").find(text[i + 1]) != std::string_view::npos;
      word += text[++i];
      in_word = true;
    } else if (quote == 0 && (c == ' ' || c == '\t' || c == '#')) {
      if (in_word) found.words.push_back(std::exchange(word, {}));
      in_word = false;
      if (c == '#') return found;
    } else {
      found.variable = found.variable || (c == '$' && quote == '"');
      word += c;
      in_word = true;
    }
  }
  if (in_word) found.words.push_back(std::move(word));
  found.open = quote != 0;
  return found;
}

std::optional<HaproxySectionKind> section_kind(const std::string& word) {
  static const std::map<std::string_view, HaproxySectionKind> kinds = {
      {"global", HaproxySectionKind::kGlobal},       {"defaults", HaproxySectionKind::kDefaults},
      {"frontend", HaproxySectionKind::kFrontend},   {"backend", HaproxySectionKind::kBackend},
      {"listen", HaproxySectionKind::kListen},       {"peers", HaproxySectionKind::kOther},
      {"userlist", HaproxySectionKind::kOther},      {"resolvers", HaproxySectionKind::kOther},
      {"mailers", HaproxySectionKind::kOther},       {"cache", HaproxySectionKind::kOther},
      {"program", HaproxySectionKind::kOther},       {"ring", HaproxySectionKind::kOther},
      {"http-errors", HaproxySectionKind::kOther},   {"fcgi-app", HaproxySectionKind::kOther},
      {"crt-store", HaproxySectionKind::kOther},     {"log-forward", HaproxySectionKind::kOther},
      {"log-profile", HaproxySectionKind::kOther},   {"traces", HaproxySectionKind::kOther},
      {"acme", HaproxySectionKind::kOther},          {"namespace_list", HaproxySectionKind::kOther},
      {"dynamic-update", HaproxySectionKind::kOther}};
  const auto found = kinds.find(word);
  return found == kinds.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace

std::vector<HaproxySection> haproxy_sections(std::string_view text, Imported& into) {
  std::vector<HaproxySection> sections;
  for (const auto& [number, line] : lines_of(text)) {
    HaproxyWords found = words_in(line);
    if (found.words.empty()) continue;
    if (found.variable)
      into.lose(number, found.words[0] + ": variables of the environment are not put in; write their values");
    if (found.encoded)
      into.lose(number, found.words[0] + ": characters like \\n and \\x41 are not put in; write them out");
    if (found.open) into.lose(number, found.words[0] + ": a quote is not closed");
    Directive directive(number, std::move(found.words));
    if (const auto kind = section_kind(directive.key())) {
      sections.push_back({*kind, std::move(directive), {}});
    } else if (sections.empty()) {
      into.lose(number,
                directive.key() + ": stands before the first section (\"global\", \"frontend\", ...)");
    } else {
      sections.back().lines.push_back(std::move(directive));
    }
  }
  return sections;
}

bool HaproxyProxy::is_disabled() const {
  bool disabled = false;
  for (const Directive* line : lines) {
    if (line->is("disabled")) disabled = true;
    if (line->is("enabled")) disabled = false;
  }
  return disabled;
}

std::string HaproxyGlobal::certificate_path(const std::string& path) const {
  return path_below(directory, path_below(crt_base, path));
}

std::string HaproxyGlobal::ca_path(const std::string& path) const {
  if (path == "@system-ca") return "system";
  return path_below(directory, path_below(ca_base, path));
}

std::optional<std::chrono::milliseconds> haproxy_time(std::string_view text) {
  const std::size_t end = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto number = number_of(text.substr(0, end));
  const std::string_view unit = text.substr(end);
  if (!number) return std::nullopt;
  if (unit.empty() || unit == "ms") return std::chrono::milliseconds(*number);
  if (unit == "us") return std::chrono::milliseconds(*number / 1000);
  if (unit == "s") return std::chrono::seconds(*number);
  if (unit == "m") return std::chrono::minutes(*number);
  if (unit == "h") return std::chrono::hours(*number);
  if (unit == "d") return std::chrono::hours(24) * static_cast<int>(std::min(*number, 3650U));
  return std::nullopt;
}

}  // namespace headgate
