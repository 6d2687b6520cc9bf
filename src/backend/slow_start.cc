#include "backend/slow_start.h"

namespace headgate {
namespace {

// A server gets some connections at once, which warm it up.
constexpr std::int64_t kFirstShare = kWholeShare / 10;

}  // namespace

std::int64_t share_of_weight(TimePoint back_since, TimePoint now, Duration slow_start) {
  using std::chrono::duration_cast;
  using std::chrono::milliseconds;
  if (back_since == TimePoint::min() || now >= back_since + slow_start) return kWholeShare;
  if (now <= back_since) return kFirstShare;
  const std::int64_t passed_ms = duration_cast<milliseconds>(now - back_since).count();
  const std::int64_t whole_ms = duration_cast<milliseconds>(slow_start).count();
  return kFirstShare + (kWholeShare - kFirstShare) * passed_ms / whole_ms;
}

}  // namespace headgate
