#include "metrics/exporter.h"

#include <chrono>
#include <initializer_list>
#include <limits>
#include <set>

#include <prometheus/client_metric.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include "base/check.h"
#include "metrics/alert_name.h"
#include "metrics/metrics.h"

namespace headgate {
namespace {

using LabelValues = std::initializer_list<std::string_view>;

constexpr std::array<std::string_view, 2> kYesNo{"no", "yes"};

double seconds(std::uint64_t us) {
  return static_cast<double>(us) / 1e6;
}
double unix_seconds(WallTime time) {
  return std::chrono::duration<double>(time.time_since_epoch()).count();
}
double seconds_since(WallTime time) {
  return std::chrono::duration<double>(std::chrono::system_clock::now() - time).count();
}

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

/// The families of one scrape, in the table's order.
class Families {
 public:
  explicit Families(const MetricSet& wanted) : wanted_(wanted) {}

  [[nodiscard]] bool wants(Metric metric) const { return wanted_.test(static_cast<std::size_t>(metric)); }

  void add(Metric metric, LabelValues labels, double value) {
    if (!wants(metric)) return;
    prometheus::ClientMetric& sample = add_sample(metric, labels);
    sample.counter.value = value;
    sample.gauge.value = value;
  }
  void add(Metric metric, LabelValues labels, std::uint64_t value) {
    add(metric, labels, static_cast<double>(value));
  }
  /// For large sets of labels: a zero is left out.
  void add_if_any(Metric metric, LabelValues labels, std::uint64_t value) {
    if (value > 0) add(metric, labels, value);
  }

  /// The sum of several workers' histograms of one kind.
  template <class HistogramType>
  void add_histogram(Metric metric, LabelValues labels, const std::vector<const HistogramType*>& parts) {
    if (!wants(metric)) return;
    prometheus::ClientMetric::Histogram& sum = add_sample(metric, labels).histogram;
    const auto bounds_us = HistogramType::bounds_us();
    for (std::size_t i = 0; i < HistogramType::bucket_count(); ++i) {
      for (const auto* part : parts) sum.sample_count += part->bucket(i);
      const double bound =
          i < bounds_us.size() ? seconds(bounds_us[i]) : std::numeric_limits<double>::infinity();
      sum.bucket.push_back({sum.sample_count, bound});
    }
    for (const auto* part : parts) sum.sample_sum += seconds(part->sum_us());
  }

  [[nodiscard]] std::string text() const {
    std::vector<prometheus::MetricFamily> filled;
    for (std::size_t i = 0; i < kMetricCount; ++i) {
      if (samples_[i].empty()) continue;
      const MetricRow& about = row(static_cast<Metric>(i));
      filled.push_back({std::string(about.name), std::string(about.help), type_of(about.kind), samples_[i]});
    }
    return prometheus::TextSerializer().Serialize(filled);
  }

 private:
  prometheus::ClientMetric& add_sample(Metric metric, LabelValues values) {
    const MetricRow& about = row(metric);
    HG_CHECK(values.size() == about.label_count());
    prometheus::ClientMetric& sample = samples_[static_cast<std::size_t>(metric)].emplace_back();
    std::size_t i = 0;
    for (const std::string_view value : values) {
      sample.label.push_back({std::string(about.labels[i++]), std::string(value)});
    }
    return sample;
  }

  MetricSet wanted_;
  std::array<std::vector<prometheus::ClientMetric>, kMetricCount> samples_;
};

/// The counters of one listener, server or worker in all workers.
template <class Metrics>
struct Group {
  std::vector<const Metrics*> parts;

  template <class Counted>
  [[nodiscard]] std::uint64_t sum(Counted counter) const {
    std::uint64_t total = 0;
    for (const Metrics* part : parts) total += counter(*part).value();
    return total;
  }
  template <class Measured>
  [[nodiscard]] auto histograms(Measured histogram) const {
    std::vector<decltype(&histogram(*parts.front()))> all;
    for (const Metrics* part : parts) all.push_back(&histogram(*part));
    return all;
  }
};
using ListenerGroup = Group<ListenerMetrics>;
using ServerGroup = Group<ServerMetrics>;

void add_connections(Families& out, std::string_view listener, const ListenerGroup& group) {
  out.add(Metric::kConnectionsAccepted, {listener}, group.sum([](auto& m) -> auto& { return m.accepted; }));
  out.add(Metric::kConnectionsActive, {listener}, group.sum([](auto& m) -> auto& { return m.active; }));
  for (std::size_t i = 0; i < kCloseReasonCount; ++i) {
    const CloseReasonRow& end = row(static_cast<CloseReason>(i));
    out.add_if_any(Metric::kConnectionsClosed, {listener, end.name, name(end.side)},
                   group.sum([i](auto& m) -> auto& { return m.closed[i]; }));
  }
  out.add_histogram(Metric::kConnectionDuration, {listener},
                    group.histograms([](auto& m) -> auto& { return m.connection_duration; }));
  for (std::size_t i = 0; i < kDirectionCount; ++i) {
    out.add(Metric::kBytes, {listener, name(static_cast<Direction>(i))},
            group.sum([i](auto& m) -> auto& { return m.bytes[i]; }));
  }
}

void add_handshake_failures(Families& out, std::string_view listener, const ListenerGroup& group) {
  std::map<std::pair<HandshakeFailure, std::uint8_t>, std::uint64_t> total;
  for (const ListenerMetrics* part : group.parts) part->handshake_failures.add_to(total);
  for (const auto& [pair, count] : total) {
    out.add(Metric::kHandshakeFailures, {listener, name(pair.first), alert_name(pair.second)}, count);
  }
}

void add_negotiated(Families& out, std::string_view listener, const ListenerGroup& group) {
  std::map<Negotiated, std::uint64_t> total;
  for (const ListenerMetrics* part : group.parts) {
    for (const auto& [key, count] : part->negotiated.values()) total[key] += count;
  }
  for (const auto& [key, count] : total) {
    out.add(Metric::kHandshakesNegotiated, {listener, key.version, key.group, key.cipher, key.key_type},
            count);
  }
}

void add_handshakes(Families& out, std::string_view listener, const ListenerGroup& group) {
  for (std::size_t resumed = 0; resumed < 2; ++resumed) {
    for (std::size_t i = 0; i < kHandshakeResultCount; ++i) {
      out.add(Metric::kHandshakes, {listener, name(static_cast<HandshakeResult>(i)), kYesNo[resumed]},
              group.sum([=](auto& m) -> auto& { return m.handshakes[i][resumed]; }));
    }
    for (std::size_t i = 0; i < kHandshakePhaseCount; ++i) {
      out.add_histogram(Metric::kHandshakeDuration,
                        {listener, name(static_cast<HandshakePhase>(i)), kYesNo[resumed]},
                        group.histograms([=](auto& m) -> auto& { return m.handshake_duration[i][resumed]; }));
    }
  }
  add_handshake_failures(out, listener, group);
  for (std::size_t i = 0; i < kClientCertificateFaultCount; ++i) {
    out.add_if_any(Metric::kClientCertificateFaults, {listener, name(static_cast<ClientCertificateFault>(i))},
                   group.sum([i](auto& m) -> auto& { return m.client_certificate_faults[i]; }));
  }
  add_negotiated(out, listener, group);
  out.add(Metric::kHandshakesWouldRefuse, {listener, "tls13_only"},
          group.sum([](auto& m) -> auto& { return m.would_refuse_tls13_only; }));
  out.add(Metric::kHandshakesWouldRefuse, {listener, "pq_only"},
          group.sum([](auto& m) -> auto& { return m.would_refuse_pq_only; }));
  out.add(Metric::kHelloRetryRequests, {listener},
          group.sum([](auto& m) -> auto& { return m.hello_retry_requests; }));
}

void add_sessions_and_records(Families& out, std::string_view listener, const ListenerGroup& group) {
  for (std::size_t i = 0; i < kTicketEventCount; ++i) {
    out.add(Metric::kTickets, {listener, name(static_cast<TicketEvent>(i))},
            group.sum([i](auto& m) -> auto& { return m.tickets[i]; }));
  }
  for (std::size_t layer = 0; layer < kProtectionCount; ++layer) {
    for (std::size_t i = 0; i < kProtectionReasonCount; ++i) {
      out.add_if_any(Metric::kRecordLayerConnections,
                     {listener, name(static_cast<Protection>(layer)), name(static_cast<ProtectionReason>(i))},
                     group.sum([=](auto& m) -> auto& { return m.record_layer[layer][i]; }));
    }
  }
  out.add(Metric::kOcspStaplesExpired, {listener},
          group.sum([](auto& m) -> auto& { return m.ocsp_staples_expired; }));
  out.add(Metric::kCertificatesCompressed, {listener},
          group.sum([](auto& m) -> auto& { return m.certificates_compressed; }));
  out.add(Metric::kLogLinesLimited, {listener},
          group.sum([](auto& m) -> auto& { return m.log_lines_dropped; }));
}

void add_listeners(Families& out, const MetricsRegistry& registry) {
  std::map<std::string, ListenerGroup> groups;
  for (const auto& entry : registry.listeners()) groups[entry.listener].parts.push_back(entry.metrics);
  for (const auto& [listener, group] : groups) {
    add_connections(out, listener, group);
    add_handshakes(out, listener, group);
    add_sessions_and_records(out, listener, group);
  }
}

void add_servers(Families& out, const MetricsRegistry& registry) {
  std::map<std::pair<std::string, std::string>, ServerGroup> groups;
  for (const auto& entry : registry.servers())
    groups[{entry.backend, entry.server}].parts.push_back(entry.metrics);
  for (const auto& [key, group] : groups) {
    const auto& [backend, server] = key;
    out.add(Metric::kBackendConnectionsActive, {backend, server},
            group.sum([](auto& m) -> auto& { return m.active; }));
    out.add_histogram(Metric::kBackendConnectDuration, {backend, server},
                      group.histograms([](auto& m) -> auto& { return m.connect_duration; }));
    for (std::size_t i = 0; i < kConnectFailureCount; ++i) {
      out.add(Metric::kBackendConnectFailures, {backend, server, name(static_cast<ConnectFailure>(i))},
              group.sum([i](auto& m) -> auto& { return m.connect_failures[i]; }));
    }
  }
}

void add_loops(Families& out, const MetricsRegistry& registry) {
  for (const auto& [number, loop] : registry.loops()) {
    const std::string worker = std::to_string(number);
    out.add(Metric::kHandshakesInProgress, {worker}, loop->handshakes_in_progress.value());
    out.add(Metric::kHandshakesQueued, {worker}, loop->handshakes_queued.value());
    out.add_histogram<DurationHistogram>(Metric::kWorkerLoopLag, {worker}, {&loop->loop_lag});
    out.add(Metric::kWorkerBusySeconds, {worker}, seconds(loop->busy_us.value()));
    out.add(Metric::kWorkerAcceptPauses, {worker}, loop->accept_pauses.value());
  }
}

/// One file may be held by several listeners, and two files may differ in nothing but their place: a series
/// only once.
void add_certificates(Families& out, const ProcessState& state) {
  out.add(Metric::kCertificates, {}, static_cast<std::uint64_t>(certificates_held(state)));
  // Putting the reports together takes a while with 100,000 of them.
  if (!out.wants(Metric::kCertificateNotBefore) && !out.wants(Metric::kCertificateNotAfter)) return;
  const std::vector<CertificateReport> shown = soonest_expiring(state);
  std::set<std::pair<std::string_view, std::string_view>> seen;
  for (const CertificateReport& one : shown) {
    const std::string_view first_name = one.names.empty() ? std::string_view() : one.names.front();
    if (!seen.emplace(one.file, first_name).second) continue;
    out.add(Metric::kCertificateNotBefore, {one.file, first_name}, unix_seconds(one.not_before));
    out.add(Metric::kCertificateNotAfter, {one.file, first_name}, unix_seconds(one.not_after));
  }
}

void add_canaries(Families& out, const ProcessState& state) {
  for (const CanaryReport& one : state.canaries) {
    const auto handshakes = [&](std::string_view group, const CanaryReport::Group& counts) {
      out.add(Metric::kCertificateCanaryHandshakes, {one.listener, one.file, group, "ok"}, counts.ok);
      out.add(Metric::kCertificateCanaryHandshakes, {one.listener, one.file, group, "failed"}, counts.failed);
    };
    out.add(Metric::kCertificateCanary, {one.listener, one.file, "comparing"}, std::uint64_t{!one.went_back});
    out.add(Metric::kCertificateCanary, {one.listener, one.file, "held_back"}, std::uint64_t{one.went_back});
    handshakes("new", one.with_new);
    handshakes("old", one.with_old);
  }
  for (const auto& [end, count] : state.canary_ends) {
    out.add(Metric::kCertificateCanaries, {end.listener, end.file, end.result}, count);
  }
}

void add_drains(Families& out, const ProcessState& state) {
  std::uint64_t remaining = 0;
  std::chrono::milliseconds oldest{0};
  for (const DrainReport& drain : state.drains) {
    remaining += drain.remaining;
    oldest = std::max(oldest, drain.oldest);
  }
  out.add(Metric::kDraining, {}, std::uint64_t{state.draining});
  out.add(Metric::kDrainConnectionsRemaining, {}, remaining);
  out.add(Metric::kDrainOldestConnection, {}, static_cast<double>(oldest.count()) / 1e3);
  out.add(Metric::kDrainBytes, {}, state.drained_bytes);
}

void add_reload_and_drain(Families& out, const ProcessState& state) {
  out.add(Metric::kReloads, {"ok"}, state.reload.ok);
  out.add(Metric::kReloads, {"failed"}, state.reload.failed);
  for (const auto& [fault, count] : state.reload.file_faults) out.add(Metric::kFileFaults, {fault}, count);
  out.add(Metric::kReloadLastSuccess, {}, unix_seconds(state.reload.last_success));
  // A sample is a double, which holds 53 bits.
  out.add(Metric::kConfigHash, {}, state.reload.config_hash & ((std::uint64_t{1} << 53) - 1));
  for (const auto& [key, count] : state.handover) {
    out.add(Metric::kHandoverConnections, {key.first, key.second}, count);
  }
  add_drains(out, state);
}

void add_state(Families& out, const ProcessState& state) {
  for (const ListenerReport& listener : state.listeners) {
    out.add(Metric::kKeylogEnabled, {listener.name}, std::uint64_t{listener.keylog});
    if (!listener.ticket_key_since) continue;
    out.add(Metric::kTicketKeyAge, {listener.name}, seconds_since(*listener.ticket_key_since));
  }
  for (const BackendReport& backend : state.backends) {
    for (const ServerReport& server : backend.servers) {
      out.add(Metric::kBackendUp, {backend.name, server.address}, std::uint64_t{server.up});
    }
  }
  for (const WorkerReport& worker : state.workers) {
    out.add(Metric::kWorkerBusyRatio, {std::to_string(worker.worker)}, worker.busy_ratio);
  }
  out.add(Metric::kLogLinesDropped, {}, state.log_lines_dropped);
  out.add(Metric::kBuildInfo, {state.version, state.openssl}, std::uint64_t{1});
  add_certificates(out, state);
  add_canaries(out, state);
  add_reload_and_drain(out, state);
}

void add_process(Families& out, const ProcessStats::Numbers& process) {
  out.add(Metric::kProcessCpuSeconds, {}, process.cpu_seconds);
  out.add(Metric::kProcessResidentMemory, {}, process.resident_bytes);
  out.add(Metric::kProcessVirtualMemory, {}, process.virtual_bytes);
  out.add(Metric::kProcessOpenFds, {}, process.open_fds);
  out.add(Metric::kProcessMaxFds, {}, process.max_fds);
  out.add(Metric::kProcessStartTime, {}, process.start_time_seconds);
  out.add(Metric::kProcessThreads, {}, process.threads);
}

}  // namespace

std::string Exporter::text(const MetricSet& wanted) const {
  Families families(wanted);
  add_listeners(families, registry_);
  add_servers(families, registry_);
  add_loops(families, registry_);
  add_state(families, board_.copy());
  add_process(families, process_.read());
  return families.text();
}

}  // namespace headgate
