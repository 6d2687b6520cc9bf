#include "base/server_name.h"

#include <algorithm>

#include "base/ascii.h"

namespace headgate {

NormalName::NormalName(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.size() > kMaxBytes || name.starts_with('.') || name.find("..") != name.npos) name = {};
  std::transform(name.begin(), name.end(), bytes_.begin(), [](char c) { return ascii_lower(c); });
  size_ = name.size();
}

void NamePatterns::add(std::string_view pattern, std::uint32_t list) {
  const bool wildcard = pattern.starts_with("*.");
  const NormalName name(wildcard ? pattern.substr(2) : pattern);
  (wildcard ? under_ : exact_).try_emplace(std::string(name.view()), list);
}

std::optional<std::uint32_t> NamePatterns::find(std::string_view name) const {
  std::optional<std::uint32_t> least;
  const auto look = [&least](const ByName& lists, std::string_view text) {
    const auto found = lists.find(text);
    if (found != lists.end() && (!least || found->second < *least)) least = found->second;
  };
  const NormalName normal(name);
  const std::string_view text = normal.view();
  if (text.empty()) return least;
  look(exact_, text);
  if (const auto dot = text.find('.'); dot != text.npos) look(under_, text.substr(dot + 1));
  return least;
}

}  // namespace headgate
