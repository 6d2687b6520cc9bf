#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

namespace headgate {

/// A number that one thread changes and any thread reads: adding is a plain load, add and store, without a
/// lock prefix. Neither copied nor moved; lives as long as the process.
class Counter {
 public:
  /// Writer thread only.
  void add(std::uint64_t n = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  void sub(std::uint64_t n = 1) {
    value_.store(value_.load(std::memory_order_relaxed) - n, std::memory_order_relaxed);
  }
  void set(std::uint64_t n) { value_.store(n, std::memory_order_relaxed); }
  /// Any thread.
  [[nodiscard]] std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

/// Upper bounds of histogram buckets, in microseconds; the last bucket (+Inf) is implied.
inline constexpr std::array<std::uint64_t, 19> kDurationBoundsUs{
    25,     50,      100,     250,     500,       1'000,     2'500,     5'000,      10'000,    25'000,
    50'000, 100'000, 250'000, 500'000, 1'000'000, 2'500'000, 5'000'000, 10'000'000, 60'000'000};

/// Bounds for the length of connections: a millisecond to a day.
inline constexpr std::array<std::uint64_t, 14> kConnectionBoundsUs{
    1'000,       10'000,      100'000,       1'000'000,     5'000'000,      15'000'000,     60'000'000,
    300'000'000, 900'000'000, 1'800'000'000, 3'600'000'000, 14'400'000'000, 43'200'000'000, 86'400'000'000};

/// A histogram of durations with the same writer rule as Counter. `Bounds` is one of the tables above.
template <const auto& Bounds>
class Histogram {
 public:
  void observe(std::chrono::nanoseconds duration) {
    const auto us = static_cast<std::uint64_t>(duration.count() < 0 ? 0 : duration.count() / 1000);
    std::size_t i = 0;
    while (i < Bounds.size() && us > Bounds[i]) ++i;
    buckets_[i].add();
    sum_us_.add(us);
  }
  [[nodiscard]] static constexpr std::span<const std::uint64_t> bounds_us() { return Bounds; }
  /// Counts per bucket, not cumulative; the last one is beyond every bound.
  [[nodiscard]] std::uint64_t bucket(std::size_t i) const { return buckets_[i].value(); }
  [[nodiscard]] static constexpr std::size_t bucket_count() { return Bounds.size() + 1; }
  [[nodiscard]] std::uint64_t sum_us() const { return sum_us_.value(); }

 private:
  std::array<Counter, Bounds.size() + 1> buckets_;
  Counter sum_us_;
};

using DurationHistogram = Histogram<kDurationBoundsUs>;
using ConnectionHistogram = Histogram<kConnectionBoundsUs>;

}  // namespace headgate
