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

/// Bounds for a number of events; 0 has a bucket of its own.
inline constexpr std::array<std::uint64_t, 9> kCountBounds{0, 1, 2, 5, 10, 25, 100, 1'000, 10'000};

/// A histogram with the same writer rule as Counter. `Bounds` is one of the tables above; `kPerUnit` says how
/// many of what they count make the unit that is shown: a million microseconds are a second.
template <const auto& Bounds, std::uint64_t kPerUnit>
class Histogram {
 public:
  static constexpr std::uint64_t kPerShownUnit = kPerUnit;

  void observe(std::chrono::nanoseconds duration)
    requires(kPerUnit == 1'000'000)
  {
    add(static_cast<std::uint64_t>(duration.count() < 0 ? 0 : duration.count() / 1000));
  }
  void observe(std::uint64_t count)
    requires(kPerUnit == 1)
  {
    add(count);
  }
  [[nodiscard]] static constexpr std::span<const std::uint64_t> bounds() { return Bounds; }
  /// Counts per bucket, not cumulative; the last one is beyond every bound.
  [[nodiscard]] std::uint64_t bucket(std::size_t i) const { return buckets_[i].value(); }
  [[nodiscard]] static constexpr std::size_t bucket_count() { return Bounds.size() + 1; }
  [[nodiscard]] std::uint64_t sum() const { return sum_.value(); }

 private:
  void add(std::uint64_t value) {
    std::size_t i = 0;
    while (i < Bounds.size() && value > Bounds[i]) ++i;
    buckets_[i].add();
    sum_.add(value);
  }

  std::array<Counter, Bounds.size() + 1> buckets_;
  Counter sum_;
};

using DurationHistogram = Histogram<kDurationBoundsUs, 1'000'000>;
using ConnectionHistogram = Histogram<kConnectionBoundsUs, 1'000'000>;
using CountHistogram = Histogram<kCountBounds, 1>;

}  // namespace headgate
