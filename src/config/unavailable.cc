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
    {"backends.*.tls.starttls", Refused::kAnyOtherValue, "none"},
};

struct UnavailableKey {
  std::string_view pattern;
  std::string_view reason;
};

constexpr UnavailableKey kUnavailableKeys[] = {
    {"listeners[].tls.ktls", "kernel TLS is not available in this version; leave the key out"},
    {"backends.*.send_client_certificate",
     "the PROXY header cannot carry the client's certificate in this version; leave the key out"},
};

}  // namespace

void refuse_unavailable(const Reading& reading) {
  for (const GivenValue& given : reading.given) {
    const bool refused = std::any_of(std::begin(kUnavailable), std::end(kUnavailable),
                                     [&given](const Unavailable& row) { return row.covers(given); });
    if (refused) reading.faults.add(given.path.key, quote(given.text) + " is not available in this version");
  }
}

std::string_view reason_against(std::string_view pattern) {
  const auto* found = std::ranges::find(kUnavailableKeys, pattern, &UnavailableKey::pattern);
  return found == std::end(kUnavailableKeys) ? std::string_view() : found->reason;
}

}  // namespace headgate::config
