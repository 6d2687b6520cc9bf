#include "cli/haproxy_file.h"

#include <algorithm>
#include <map>
#include <utility>

#include "cli/import_words.h"

namespace headgate {
namespace {

Words words_in(std::string_view text) {
  Words words;
  std::string word;
  bool in_word = false;
  char quote = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote != 0 ? c == quote : c == '"' || c == '\'') {
      quote = quote != 0 ? '\0' : c;
      in_word = true;
    } else if (c == '\\' && quote != '\'' && i + 1 < text.size()) {
      word += text[++i];
      in_word = true;
    } else if (quote == 0 && (c == ' ' || c == '\t' || c == '#')) {
      if (in_word) words.push_back(std::exchange(word, {}));
      in_word = false;
      if (c == '#') return words;
    } else {
      word += c;
      in_word = true;
    }
  }
  if (in_word) words.push_back(std::move(word));
  return words;
}

std::optional<HaproxySectionKind> section_kind(const std::string& word) {
  static const std::map<std::string_view, HaproxySectionKind> kinds = {
      {"global", HaproxySectionKind::kGlobal},     {"defaults", HaproxySectionKind::kDefaults},
      {"frontend", HaproxySectionKind::kFrontend}, {"backend", HaproxySectionKind::kBackend},
      {"listen", HaproxySectionKind::kListen},     {"peers", HaproxySectionKind::kOther},
      {"userlist", HaproxySectionKind::kOther},    {"resolvers", HaproxySectionKind::kOther},
      {"mailers", HaproxySectionKind::kOther},     {"cache", HaproxySectionKind::kOther},
      {"program", HaproxySectionKind::kOther},     {"ring", HaproxySectionKind::kOther},
      {"http-errors", HaproxySectionKind::kOther}, {"fcgi-app", HaproxySectionKind::kOther},
      {"crt-store", HaproxySectionKind::kOther}};
  const auto found = kinds.find(word);
  return found == kinds.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace

std::vector<HaproxySection> haproxy_sections(std::string_view text) {
  std::vector<HaproxySection> sections;
  for (const auto& [number, line] : lines_of(text)) {
    Words words = words_in(line);
    if (words.empty()) continue;
    if (const auto kind = section_kind(words[0])) {
      sections.push_back({*kind, number, words.size() > 1 ? words[1] : std::string(), {}});
    } else if (!sections.empty()) {
      sections.back().lines.push_back({number, std::move(words)});
    }
  }
  return sections;
}

std::optional<std::chrono::milliseconds> haproxy_time(std::string_view text) {
  const std::size_t end = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto number = number_of(text.substr(0, end));
  const std::string_view unit = text.substr(end);
  if (!number) return std::nullopt;
  if (unit.empty() || unit == "ms") return std::chrono::milliseconds(*number);
  if (unit == "s") return std::chrono::seconds(*number);
  if (unit == "m") return std::chrono::minutes(*number);
  if (unit == "h") return std::chrono::hours(*number);
  if (unit == "d") return std::chrono::hours(24) * static_cast<int>(std::min(*number, 3650U));
  return std::nullopt;
}

}  // namespace headgate
