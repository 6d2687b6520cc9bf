#include "config/unavailable.h"

#include <algorithm>
#include <string_view>

namespace headgate::config {
namespace {

enum class Refused { kThisValue, kAnyOtherValue };

struct Unavailable {
  std::string_view pattern;
  Refused refused;
  std::string_view value;

  [[nodiscard]] bool covers(const GivenValue& given) const {
    return given.path.pattern == pattern && (given.text == value) == (refused == Refused::kThisValue);
  }
};

constexpr Unavailable kUnavailable[] = {
    {"key_isolation", Refused::kThisValue, "process"},
    {"listeners[].starttls", Refused::kThisValue, "mysql"},
    {"listeners[].tls.ktls", Refused::kThisValue, "on"},
    {"backends.*.tls.starttls", Refused::kAnyOtherValue, "none"},
};

}  // namespace

void refuse_unavailable(const Reading& reading) {
  for (const GivenValue& given : reading.given) {
    const bool refused = std::any_of(std::begin(kUnavailable), std::end(kUnavailable),
                                     [&given](const Unavailable& row) { return row.covers(given); });
    if (refused) reading.faults.add(given.path.key, quote(given.text) + " is not available in this version");
  }
}

}  // namespace headgate::config
