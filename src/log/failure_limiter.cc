#include "log/failure_limiter.h"

#include <iterator>

namespace headgate {

bool FailureLimiter::admit(std::string_view listener, std::string_view reason, TimePoint now) {
  Window& current = window(listener, reason);
  if (now >= current.ends) open_window(listener, reason, current, now);
  if (current.passed < options_.lines) {
    ++current.passed;
    return true;
  }
  ++current.left_out;
  ++left_out_;
  return false;
}

std::vector<FailureLimiter::Summary> FailureLimiter::take_summaries(TimePoint now) {
  std::vector<Summary> summaries = std::exchange(ended_, {});
  for (auto& [listener, reasons] : windows_) {
    for (auto it = reasons.begin(); it != reasons.end();) {
      const auto& [reason, window] = *it;
      if (now < window.ends) {
        ++it;
        continue;
      }
      if (window.left_out > 0) summaries.push_back({listener, reason, window.left_out, options_.interval});
      it = reasons.erase(it);
    }
  }
  return summaries;
}

FailureLimiter::Window& FailureLimiter::window(std::string_view listener, std::string_view reason) {
  auto reasons = windows_.find(listener);
  if (reasons == windows_.end()) reasons = windows_.emplace(listener, Reasons{}).first;
  auto found = reasons->second.find(reason);
  if (found == reasons->second.end()) found = reasons->second.emplace(reason, Window{}).first;
  return found->second;
}

void FailureLimiter::open_window(std::string_view listener, std::string_view reason, Window& window,
                                 TimePoint now) {
  if (window.left_out > 0) {
    ended_.push_back({std::string(listener), std::string(reason), window.left_out, options_.interval});
  }
  window = Window{.ends = now + options_.interval};
}

std::string FailureLimiter::Summary::text() const {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(interval).count();
  return std::to_string(left_out) + " more connections ended like this in " + std::to_string(seconds) +
         " s; their lines were left out";
}

}  // namespace headgate
