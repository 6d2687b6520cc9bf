#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

/// Every metric Headgate has, in one table: its name, kind, help and labels, and where its samples come from.
/// The exporter walks over the table; its tests and docs/metrics.md follow it. Units are Prometheus's:
/// seconds, bytes, ratios; counters end in _total. Label values are bounded: configured names and words of
/// our own enumerations, never a raw server name or an address of a client.
namespace headgate {

class Scrape;
class Series;

enum class MetricKind : std::uint8_t { kCounter, kGauge, kHistogram };

inline constexpr std::size_t kMaxMetricLabels = 5;

/// A row of the table. Unused labels are empty and stand last.
struct MetricRow {
  std::string_view name;
  MetricKind kind = MetricKind::kGauge;
  std::string_view help;
  std::array<std::string_view, kMaxMetricLabels> labels{};
  void (*collect)(Scrape& from, Series& out) = nullptr;  ///< Adds its samples.
  [[nodiscard]] std::size_t label_count() const;
};

/// How many rows there are. Any thread, as what follows.
[[nodiscard]] std::size_t metric_count();
/// The row in that place, counted from 0.
[[nodiscard]] const MetricRow& row(std::size_t metric);
/// The place of the metric of that name; nothing when there is none.
[[nodiscard]] std::optional<std::size_t> find_metric(std::string_view name);

/// Some of the metrics, each a bit at its row's place. The table has no more rows than this has bits.
using MetricSet = std::bitset<128>;

}  // namespace headgate
