#pragma once

#include <chrono>
#include <compare>
#include <cstdint>

namespace headgate {

/// Monotonic time; every deadline is one of these. The wall clock is used for certificates and logs only.
using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;
using Duration = Clock::duration;
using WallTime = std::chrono::system_clock::time_point;

/// Seconds since 1970, rounded down.
[[nodiscard]] inline std::int64_t epoch_seconds(WallTime time) {
  return std::chrono::floor<std::chrono::seconds>(time.time_since_epoch()).count();
}

/// A number of bytes, as configuration and limits have it.
struct Bytes {
  std::uint64_t count = 0;
  friend auto operator<=>(Bytes, Bytes) = default;
};

constexpr Bytes operator""_KiB(unsigned long long n) {
  return {n * 1024};
}
constexpr Bytes operator""_MiB(unsigned long long n) {
  return {n * 1024 * 1024};
}

}  // namespace headgate
