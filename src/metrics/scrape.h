#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <prometheus/client_metric.h>
#include <prometheus/metric_family.h>

#include "metrics/metrics.h"
#include "metrics/process_state.h"
#include "metrics/process_stats.h"
#include "metrics/worker_metrics.h"

namespace headgate {

/// The values of a sample's labels, in the order of the row.
using LabelValues = std::vector<std::string_view>;

/// The samples of one metric.
class Series {
 public:
  explicit Series(const MetricRow& about) : about_(about) {}

  void add(const LabelValues& labels, double value);
  void add(const LabelValues& labels, std::uint64_t value) { add(labels, static_cast<double>(value)); }
  /// The sum of several workers' counters or histograms of one kind.
  void add_sum(const LabelValues& labels, const std::vector<const Counter*>& parts);
  void add_sum(const LabelValues& labels, const std::vector<const DurationHistogram*>& parts);
  void add_sum(const LabelValues& labels, const std::vector<const ConnectionHistogram*>& parts);
  void add_sum(const LabelValues& labels, const std::vector<const CountHistogram*>& parts);

  [[nodiscard]] bool is_empty() const { return samples_.empty(); }
  /// All of them, with the name, the kind and the help of the row.
  [[nodiscard]] prometheus::MetricFamily family() &&;

 private:
  prometheus::ClientMetric& add_sample(const LabelValues& labels);

  const MetricRow& about_;
  std::vector<prometheus::ClientMetric> samples_;
};

/// The counters of one listener, server, backend or worker: what each worker has counted for it, and its
/// labels.
template <class Metrics>
struct MetricsGroup {
  std::vector<std::string> names;
  std::vector<const Metrics*> parts;

  [[nodiscard]] LabelValues labels() const { return {names.begin(), names.end()}; }
};

/// What the samples of one scrape are made of, read once for all metrics.
class Scrape {
 public:
  /// `registry` outlives it.
  Scrape(const MetricsRegistry& registry, ProcessState the_state, const ProcessStats::Numbers& the_process);

  /// The groups that have this member.
  template <class T>
  [[nodiscard]] const auto& groups(T ListenerMetrics::*) const {
    return listeners_;
  }
  template <class T>
  [[nodiscard]] const auto& groups(T ServerMetrics::*) const {
    return servers_;
  }
  template <class T>
  [[nodiscard]] const auto& groups(T BackendMetrics::*) const {
    return backends_;
  }
  template <class T>
  [[nodiscard]] const auto& groups(T LoopMetrics::*) const {
    return loops_;
  }

  struct ShownCertificate {
    std::string file, name;
    WallTime not_before{}, not_after{};
  };
  /// The certificates that have series of their own, each once. Putting them together takes a while with
  /// 100,000 of them, so that is done when they are first asked for.
  [[nodiscard]] const std::vector<ShownCertificate>& certificates();

  const ProcessState state;
  const ProcessStats::Numbers process;

 private:
  std::vector<MetricsGroup<ListenerMetrics>> listeners_;  // by name
  std::vector<MetricsGroup<ServerMetrics>> servers_;      // by backend and address
  std::vector<MetricsGroup<BackendMetrics>> backends_;    // by name
  std::vector<MetricsGroup<LoopMetrics>> loops_;          // by number
  std::optional<std::vector<ShownCertificate>> certificates_;
};

}  // namespace headgate
