#include "metrics/worker_metrics.h"

namespace headgate {
namespace {

constexpr std::array<std::string_view, 2> kDirections{"from_client", "to_client"};
constexpr std::array<std::string_view, kHandshakeResultCount> kResults{"ok", "failed", "timeout", "probe",
                                                                       "shed"};
constexpr std::array<std::string_view, kHandshakePhaseCount> kPhases{"total", "queue", "cpu", "peer_wait"};
constexpr std::array<std::string_view, kTicketEventCount> kTicketEvents{"issued", "resumed", "expired",
                                                                        "unknown_key", "refused_policy"};
constexpr std::array<std::string_view, kConnectFailureCount> kConnectFailures{
    "refused",   "timeout", "unreachable", "tls",      "starttls",
    "plaintext", "resolve", "source",      "shortage", "other"};

/// Returns the object of `key` in `map`, and makes it when it is asked for first.
template <class Map>
auto& of_key(Map& map, const typename Map::key_type& key) {
  auto& slot = map[key];
  if (!slot) slot = std::make_unique<typename Map::mapped_type::element_type>();
  return *slot;
}

}  // namespace

std::string_view name(Direction direction) {
  return kDirections[static_cast<std::size_t>(direction)];
}
std::string_view name(SpliceEvent event) {
  constexpr std::array<std::string_view, kSpliceEventCount> kSpliceEvents{"to_splice", "to_buffer",
                                                                          "no_pipe"};
  return kSpliceEvents[static_cast<std::size_t>(event)];
}
std::string_view name(Peer peer) {
  return peer == Peer::kClient ? "client" : "backend";
}
std::string_view name(HandshakeResult result) {
  return kResults[static_cast<std::size_t>(result)];
}
std::string_view name(HandshakePhase phase) {
  return kPhases[static_cast<std::size_t>(phase)];
}
std::string_view name(TicketEvent event) {
  return kTicketEvents[static_cast<std::size_t>(event)];
}
std::string_view name(ClientCertificateFault fault) {
  constexpr std::array<std::string_view, kClientCertificateFaultCount> kFaults{
      "expired", "not_yet_valid", "self_signed",        "unknown_ca",  "wrong_purpose",
      "weak",    "revoked",       "no_revocation_list", "not_allowed", "other"};
  return kFaults[static_cast<std::size_t>(fault)];
}
std::string_view name(ProxyHeaderKind kind) {
  constexpr std::array<std::string_view, kProxyHeaderKindCount> kKinds{
      "v1", "v2", "local", "aws_vpc_endpoint", "azure_private_link", "gcp_psc_connection"};
  return kKinds[static_cast<std::size_t>(kind)];
}
std::string_view name(CancelResult result) {
  constexpr std::array<std::string_view, kCancelResultCount> kCancelResults{"delivered", "failed", "refused"};
  return kCancelResults[static_cast<std::size_t>(result)];
}
std::string_view name(DryRunRefusal refusal) {
  if (refusal == DryRunRefusal::kTls13Only) return "tls13_only";
  return refusal == DryRunRefusal::kPqOnly ? "pq_only" : "client_auth";
}
HandshakeFailure failure_of(DryRunRefusal refusal) {
  constexpr std::array<HandshakeFailure, kDryRunRefusalCount> kFailures{
      HandshakeFailure::kUnsupportedVersion,         HandshakeFailure::kNoSharedGroup,
      HandshakeFailure::kClientCertificateMissing,   HandshakeFailure::kClientCertificateExpired,
      HandshakeFailure::kClientCertificateUntrusted, HandshakeFailure::kClientCertificateRevoked,
      HandshakeFailure::kClientCertificateNotAllowed};
  return kFailures[static_cast<std::size_t>(refusal)];
}
DryRunRefusal dry_run_refusal(HandshakeFailure why) {
  for (const auto refusal : {DryRunRefusal::kCertificateMissing, DryRunRefusal::kCertificateExpired,
                             DryRunRefusal::kCertificateUntrusted, DryRunRefusal::kCertificateRevoked}) {
    if (failure_of(refusal) == why) return refusal;
  }
  return DryRunRefusal::kCertificateNotAllowed;
}
std::string_view name(QueueEnd end) {
  constexpr std::array<std::string_view, kQueueEndCount> kEnds{"served", "timeout", "full", "left"};
  return kEnds[static_cast<std::size_t>(end)];
}
std::string_view name(SpareEnd end) {
  constexpr std::array<std::string_view, kSpareEndCount> kEnds{
      "ended", "spoke", "failed", "old", "server_away", "place_wanted", "descriptors", "unwanted"};
  return kEnds[static_cast<std::size_t>(end)];
}
std::string_view name(ConnectFailure failure) {
  return kConnectFailures[static_cast<std::size_t>(failure)];
}

ListenerMetrics& MetricsRegistry::listener(int worker, const std::string& listener) {
  const std::lock_guard lock(mutex_);
  return of_key(listeners_, {worker, listener});
}

ServerMetrics& MetricsRegistry::server(int worker, const std::string& backend, const std::string& server) {
  const std::lock_guard lock(mutex_);
  return of_key(servers_, {worker, backend, server});
}

BackendMetrics& MetricsRegistry::backend(int worker, const std::string& backend) {
  const std::lock_guard lock(mutex_);
  return of_key(backends_, {worker, backend});
}

LoopMetrics& MetricsRegistry::loop(int worker) {
  const std::lock_guard lock(mutex_);
  return of_key(loops_, worker);
}

std::vector<MetricsRegistry::ListenerEntry> MetricsRegistry::listeners() const {
  const std::lock_guard lock(mutex_);
  std::vector<ListenerEntry> entries;
  for (const auto& [key, metrics] : listeners_) entries.push_back({key.first, key.second, metrics.get()});
  return entries;
}

std::vector<MetricsRegistry::ServerEntry> MetricsRegistry::servers() const {
  const std::lock_guard lock(mutex_);
  std::vector<ServerEntry> entries;
  for (const auto& [key, metrics] : servers_) {
    entries.push_back({std::get<0>(key), std::get<1>(key), std::get<2>(key), metrics.get()});
  }
  return entries;
}

std::vector<MetricsRegistry::BackendEntry> MetricsRegistry::backends() const {
  const std::lock_guard lock(mutex_);
  std::vector<BackendEntry> entries;
  for (const auto& [key, metrics] : backends_) entries.push_back({key.first, key.second, metrics.get()});
  return entries;
}

std::vector<MetricsRegistry::LoopEntry> MetricsRegistry::loops() const {
  const std::lock_guard lock(mutex_);
  std::vector<LoopEntry> entries;
  for (const auto& [worker, metrics] : loops_) entries.push_back({worker, metrics.get()});
  return entries;
}

}  // namespace headgate
