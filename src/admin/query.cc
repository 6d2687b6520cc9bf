#include "admin/query.h"

#include <algorithm>
#include <charconv>

namespace headgate {

Result<std::string> percent_decoded(std::string_view text, Plus plus) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded.push_back(text[i] == '+' && plus == Plus::kSpace ? ' ' : text[i]);
      continue;
    }
    const std::string_view digits = text.substr(i + 1, 2);
    unsigned char byte = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
    if (error != std::errc{} || end - digits.data() != 2) {
      return fail(ErrorKind::kMalformed, "the query has a '%' without two hexadecimal digits behind it");
    }
    decoded.push_back(static_cast<char>(byte));
    i += 2;
  }
  return decoded;
}

Result<Query> parse_query(std::string_view text) {
  Query query;
  while (!text.empty()) {
    const std::string_view pair = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(pair.size() + 1, text.size()));
    if (pair.empty()) continue;
    const auto equals = pair.find('=');
    if (equals == pair.npos) {
      return fail(ErrorKind::kMalformed, "the query has a parameter without a value; write name=value");
    }
    auto name = percent_decoded(pair.substr(0, equals), Plus::kSpace);
    auto value = percent_decoded(pair.substr(equals + 1), Plus::kSpace);
    if (!name || !value) return tl::unexpected(name ? value.error() : name.error());
    if (!query.emplace(*name, *value).second) {
      return fail(ErrorKind::kMalformed, "the query has the parameter \"" + *name + "\" twice");
    }
  }
  return query;
}

}  // namespace headgate
