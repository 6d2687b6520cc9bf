#include "metrics/scrape.h"

#include <limits>
#include <map>
#include <set>
#include <utility>

#include "base/check.h"

namespace headgate {
namespace {

prometheus::MetricType type_of(MetricKind kind) {
  switch (kind) {
    case MetricKind::kCounter:
      return prometheus::MetricType::Counter;
    case MetricKind::kGauge:
      return prometheus::MetricType::Gauge;
    case MetricKind::kHistogram:
      return prometheus::MetricType::Histogram;
  }
  return prometheus::MetricType::Untyped;
}

template <class HistogramType>
prometheus::ClientMetric::Histogram sum_of(const std::vector<const HistogramType*>& parts) {
  prometheus::ClientMetric::Histogram sum;
  const auto bounds = HistogramType::bounds();
  const auto shown = [](std::uint64_t value) {
    return static_cast<double>(value) / static_cast<double>(HistogramType::kPerShownUnit);
  };
  for (std::size_t i = 0; i < HistogramType::bucket_count(); ++i) {
    for (const auto* part : parts) sum.sample_count += part->bucket(i);
    const double bound = i < bounds.size() ? shown(bounds[i]) : std::numeric_limits<double>::infinity();
    sum.bucket.push_back({sum.sample_count, bound});
  }
  for (const auto* part : parts) sum.sample_sum += shown(part->sum());
  return sum;
}

}  // namespace

void Series::add(const LabelValues& labels, double value) {
  prometheus::ClientMetric& sample = add_sample(labels);
  sample.counter.value = value;
  sample.gauge.value = value;
}

void Series::add_sum(const LabelValues& labels, const std::vector<const Counter*>& parts) {
  std::uint64_t sum = 0;
  for (const Counter* part : parts) sum += part->value();
  add(labels, sum);
}

void Series::add_sum(const LabelValues& labels, const std::vector<const DurationHistogram*>& parts) {
  add_sample(labels).histogram = sum_of(parts);
}

void Series::add_sum(const LabelValues& labels, const std::vector<const ConnectionHistogram*>& parts) {
  add_sample(labels).histogram = sum_of(parts);
}

void Series::add_sum(const LabelValues& labels, const std::vector<const CountHistogram*>& parts) {
  add_sample(labels).histogram = sum_of(parts);
}

prometheus::MetricFamily Series::family() && {
  return {std::string(about_.name), std::string(about_.help), type_of(about_.kind), std::move(samples_)};
}

prometheus::ClientMetric& Series::add_sample(const LabelValues& labels) {
  HG_CHECK(labels.size() == about_.label_count());
  prometheus::ClientMetric& sample = samples_.emplace_back();
  for (std::size_t i = 0; i < labels.size(); ++i) {
    sample.label.push_back({std::string(about_.labels[i]), std::string(labels[i])});
  }
  return sample;
}

Scrape::Scrape(const MetricsRegistry& registry, ProcessState the_state,
               const ProcessStats::Numbers& the_process)
    : state(std::move(the_state)), process(the_process) {
  using Names = std::vector<std::string>;
  std::map<Names, std::vector<const ListenerMetrics*>> listeners;
  for (const auto& entry : registry.listeners()) listeners[{entry.listener}].push_back(entry.metrics);
  for (auto& [names, parts] : listeners) listeners_.push_back({names, std::move(parts)});
  std::map<Names, std::vector<const ServerMetrics*>> servers;
  for (const auto& entry : registry.servers())
    servers[{entry.backend, entry.server}].push_back(entry.metrics);
  for (auto& [names, parts] : servers) servers_.push_back({names, std::move(parts)});
  std::map<Names, std::vector<const BackendMetrics*>> backends;
  for (const auto& entry : registry.backends()) backends[{entry.backend}].push_back(entry.metrics);
  for (auto& [names, parts] : backends) backends_.push_back({names, std::move(parts)});
  for (const auto& entry : registry.loops()) {
    loops_.push_back({{std::to_string(entry.worker)}, {entry.metrics}});
  }
}

// One file may be held by several listeners, and two files may differ in nothing but their place: a series
// only once.
const std::vector<Scrape::ShownCertificate>& Scrape::certificates() {
  if (certificates_) return *certificates_;
  certificates_.emplace();
  std::set<std::pair<std::string, std::string>> seen;
  for (const CertificateReport& one : soonest_expiring(state)) {
    const std::string first_name = one.names.empty() ? std::string() : one.names.front();
    if (!seen.emplace(one.file, first_name).second) continue;
    certificates_->push_back({one.file, first_name, one.not_before, one.not_after});
  }
  return *certificates_;
}

}  // namespace headgate
