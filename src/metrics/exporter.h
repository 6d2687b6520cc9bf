#pragma once

#include <string>

#include "metrics/metrics.h"
#include "metrics/process_state.h"
#include "metrics/process_stats.h"
#include "metrics/worker_metrics.h"

namespace headgate {

/// Turns the workers' counters and the supervisor's state into Prometheus text, at the moment it is asked.
/// Any thread.
///
/// Borrows the registry and the board, which outlive it. Series of one listener or server are the sum over
/// workers. Known label values are there with zero from the start, so that a rate sees their first increase;
/// combinations in large sets (close reasons, failures by alert, negotiated parameters) appear with their
/// first event.
class Exporter {
 public:
  Exporter(const MetricsRegistry& registry, const StateBoard& board) : registry_(registry), board_(board) {}

  /// The text format, version 0.0.4 (kContentType), of all metrics or of those `wanted`.
  [[nodiscard]] std::string text(const MetricSet& wanted = MetricSet().set()) const;
  static constexpr const char* kContentType = "text/plain; version=0.0.4; charset=utf-8";

 private:
  const MetricsRegistry& registry_;
  const StateBoard& board_;
  ProcessStats process_;
};

}  // namespace headgate
