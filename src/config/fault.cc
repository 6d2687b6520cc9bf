#include "config/fault.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace headgate::config {

std::string Fault::text() const {
  std::string text = file;
  if (line > 0) text += ':' + std::to_string(line) + ':' + std::to_string(column);
  text += ": ";
  if (!key.empty()) text += key + ": ";
  if (warning) text += "warning: ";
  return text + what;
}

void Faults::add_at(Position position, const std::string& key, std::string what) {
  faults_.push_back({file_, position.line, position.column, key, std::move(what), false});
}

void Faults::warn(const std::string& key, std::string what) {
  const Position position = position_of(key);
  faults_.push_back({file_, position.line, position.column, key, std::move(what), true});
}

bool Faults::concern(std::string_view key) const {
  return std::any_of(faults_.begin(), faults_.end(), [key](const Fault& fault) {
    if (fault.warning || !std::string_view(fault.key).starts_with(key)) return false;
    return key.empty() || fault.key.size() == key.size() || fault.key[key.size()] == '.' ||
           fault.key[key.size()] == '[';
  });
}

std::vector<Fault> Faults::take() {
  std::sort(faults_.begin(), faults_.end(), [](const Fault& left, const Fault& right) {
    return std::tie(left.line, left.column, left.key, left.what) <
           std::tie(right.line, right.column, right.key, right.what);
  });
  return std::exchange(faults_, {});
}

Position Faults::position_of(std::string_view key) const {
  for (;;) {
    if (const auto found = positions_.find(key); found != positions_.end()) return found->second;
    if (key.empty()) return {};
    const std::size_t end = key.find_last_of(".[");
    key = key.substr(0, end == key.npos ? 0 : end);
  }
}

}  // namespace headgate::config
