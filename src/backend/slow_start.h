#pragma once

#include <cstdint>

#include "base/units.h"

namespace headgate {

/// The whole of a server's weight, in the unit of share_of_weight().
inline constexpr std::int64_t kWholeShare = 1000;

/// The part of its weight, in thousandths, that a server gets which came back at `back_since`: a tenth at
/// first, then evenly more, and the whole once `slow_start` has passed. A server that is not yet back gets a
/// tenth. TimePoint::min(): it has not been away. Pure; any thread.
[[nodiscard]] std::int64_t share_of_weight(TimePoint back_since, TimePoint now, Duration slow_start);

}  // namespace headgate
