#include "admin/request_target.h"

#include <string>

#include "admin/query.h"
#include "base/ascii.h"

namespace headgate {
namespace {

constexpr std::string_view kScheme = "http://";

bool is_absolute(std::string_view text) {
  return text.size() > kScheme.size() && ascii_lower(text.substr(0, kScheme.size())) == kScheme;
}

}  // namespace

RequestTarget parse_target(std::string_view text) {
  RequestTarget target;
  if (is_absolute(text)) {
    text.remove_prefix(kScheme.size());
    target.host = text.substr(0, text.find_first_of("/?"));
    text.remove_prefix(target.host.size());
  }
  const std::string_view path = text.substr(0, text.find('?'));
  if (path.size() < text.size()) target.query = text.substr(path.size() + 1);
  const auto decoded = percent_decoded(path, Plus::kPlus);
  target.path = decoded.value_or(std::string(path));
  if (target.path.empty()) target.path.push_back('/');
  return target;
}

}  // namespace headgate
