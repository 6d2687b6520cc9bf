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
  collect(position, key, what, false);
}

void Faults::warn(const std::string& key, const std::string& what) {
  collect(places_.position_of(key), key, what, true);
}

void Faults::collect(Position position, const std::string& key, const std::string& what, bool warning) {
  faults_.push_back({places_.file_of(position), position.line, position.column, without_secrets(key),
                     without_secrets(places_.with_origin(position, what)), warning});
}

std::string Faults::whereabouts(std::string_view key) const {
  if (places_.files() == 1) return {};
  return " (" + places_.text_of(places_.position_of(key)) + ')';
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
  std::vector<Fault> all = std::exchange(faults_, {});
  sort_by_place(all, places_.file());
  return all;
}

void sort_by_place(std::vector<Fault>& faults, std::string_view first) {
  const auto rank = [first](const Fault& fault) {
    return std::tuple(fault.file != first, std::string_view(fault.file), fault.line, fault.column,
                      std::string_view(fault.key), std::string_view(fault.what));
  };
  std::ranges::stable_sort(faults,
                           [&](const Fault& left, const Fault& right) { return rank(left) < rank(right); });
}

std::uint32_t Places::add_file(std::string file) {
  files_.push_back(std::move(file));
  return static_cast<std::uint32_t>(files_.size() - 1);
}

std::string Places::text_of(Position position) const {
  return file_of(position) + ':' + std::to_string(position.line) + ':' + std::to_string(position.column);
}

std::string Places::with_origin(Position position, std::string what) const {
  if (const auto found = origins_.find(position); found != origins_.end()) what += " (" + found->second + ')';
  return what;
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
