#include "config/fault.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/secret_text.h"

namespace headgate::config {

std::string Fault::text() const {
  std::string text = file;
  if (line > 0) text += ':' + std::to_string(line) + ':' + std::to_string(column);
  if (!text.empty()) text += ": ";
  if (!key.empty()) text += key + ": ";
  if (warning) text += note ? "note: " : "warning: ";
  return text + what;
}

void Faults::add_at(Position position, const std::string& key, const std::string& what) {
  faulty_keys_.insert(key);
  faults_.push_back(
      {places_.file(), position.line, position.column, without_secrets(key), without_secrets(what), false});
}

void Faults::warn(const std::string& key, const std::string& what) {
  const Position position = places_.position_of(key);
  faults_.push_back(
      {places_.file(), position.line, position.column, without_secrets(key), without_secrets(what), true});
}

bool Faults::concern(std::string_view key) const {
  if (key.empty()) return !faulty_keys_.empty();
  const std::string whole(key);
  const auto holds = [this](const std::string& beginning) {
    const auto next = faulty_keys_.lower_bound(beginning);
    return next != faulty_keys_.end() && next->starts_with(beginning);
  };
  return faulty_keys_.contains(whole) || holds(whole + '.') || holds(whole + '[');
}

std::vector<Fault> Faults::take() {
  std::sort(faults_.begin(), faults_.end(), [](const Fault& left, const Fault& right) {
    return std::tie(left.line, left.column, left.key, left.what) <
           std::tie(right.line, right.column, right.key, right.what);
  });
  return std::exchange(faults_, {});
}

Position Places::position_of(std::string_view key) const {
  for (;;) {
    if (const auto found = positions_.find(key); found != positions_.end()) return found->second;
    if (key.empty()) return {};
    const std::size_t end = key.find_last_of(".[");
    key = key.substr(0, end == key.npos ? 0 : end);
  }
}

}  // namespace headgate::config
