#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

/// Every metric Headgate has: its name, kind, help and labels in one table, which the exporter, its tests and
/// docs/metrics.md follow. Units are Prometheus's: seconds, bytes, ratios; counters end in _total. Label
/// values are bounded: configured names and words of our own enumerations, never a raw server name or an
/// address of a client.
namespace headgate {

enum class MetricKind : std::uint8_t { kCounter, kGauge, kHistogram };

enum class Metric : std::uint8_t {
  kConnectionsAccepted,
  kConnectionsActive,
  kConnectionsClosed,
  kConnectionDuration,
  kBytes,
  kHandshakes,
  kHandshakeFailures,
  kClientCertificateFaults,
  kHandshakeDuration,
  kHandshakesNegotiated,
  kHandshakesWouldRefuse,
  kHelloRetryRequests,
  kHandshakesInProgress,
  kHandshakesQueued,
  kTickets,
  kTicketKeyAge,
  kRecordLayerConnections,
  kOcspStaplesExpired,
  kCertificatesCompressed,
  kKeylogEnabled,
  kBackendConnectionsActive,
  kBackendConnectDuration,
  kBackendConnectFailures,
  kBackendUp,
  kCertificates,
  kCertificateNotBefore,
  kCertificateNotAfter,
  kCertificateCanary,
  kCertificateCanaryHandshakes,
  kCertificateCanaries,
  kReloads,
  kReloadLastSuccess,
  kFileFaults,
  kConfigHash,
  kHandoverConnections,
  kDraining,
  kDrainConnectionsRemaining,
  kDrainOldestConnection,
  kDrainBytes,
  kWorkerLoopLag,
  kWorkerBusyRatio,
  kWorkerBusySeconds,
  kWorkerAcceptPauses,
  kLogLinesDropped,
  kLogLinesLimited,
  kBuildInfo,
  kProcessCpuSeconds,
  kProcessResidentMemory,
  kProcessVirtualMemory,
  kProcessOpenFds,
  kProcessMaxFds,
  kProcessStartTime,
  kProcessThreads,
};
inline constexpr std::size_t kMetricCount = static_cast<std::size_t>(Metric::kProcessThreads) + 1;
inline constexpr std::size_t kMaxMetricLabels = 5;

/// A row of the table. Unused labels are empty and stand last.
struct MetricRow {
  std::string_view name;
  MetricKind kind = MetricKind::kGauge;
  std::string_view help;
  std::array<std::string_view, kMaxMetricLabels> labels{};
  [[nodiscard]] std::size_t label_count() const;
};

/// The row of `metric`. Any thread.
[[nodiscard]] const MetricRow& row(Metric metric);
/// The metric of that name; nothing when there is none. Any thread.
[[nodiscard]] std::optional<Metric> find_metric(std::string_view name);

/// Some of the metrics, each a bit at the enumeration's place.
using MetricSet = std::bitset<kMetricCount>;

}  // namespace headgate
