#include "metrics/metrics.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <string>
#include <utility>

#include "metrics/alert_name.h"
#include "metrics/scrape.h"

namespace headgate {
namespace {

using enum MetricKind;

constexpr std::array<std::string_view, 2> kYesNo{"no", "yes"};

double unix_seconds(WallTime time) {
  return std::chrono::duration<double>(time.time_since_epoch()).count();
}

// What follows up to the table collects the samples of one metric.

/// The label values of an enumerator.
template <class Word>
LabelValues words(Word word) {
  return {name(word)};
}
LabelValues words(CloseReason reason) {
  const CloseReasonRow& about = row(reason);
  return {about.name, name(about.side)};
}
LabelValues words(DryRunRefusal refusal) {
  return {name(refusal), name(failure_of(refusal))};
}
LabelValues joined(LabelValues labels, const LabelValues& more) {
  labels.insert(labels.end(), more.begin(), more.end());
  return labels;
}

/// For large sets of labels: a zero is left out.
enum class Zeroes : std::uint8_t { kShown, kLeftOut };

template <Zeroes zeroes, class Measured>
void add_members(Series& out, const LabelValues& labels, const std::vector<const Measured*>& parts) {
  if constexpr (zeroes == Zeroes::kLeftOut) {
    if (std::ranges::all_of(parts, [](const Measured* part) { return part->value() == 0; })) return;
  }
  out.add_sum(labels, parts);
}
/// Of arrays, by the enumeration whose enumerators are the indices, and by those of the arrays in them.
template <Zeroes zeroes, class Word, class... Words, class Element, std::size_t Size>
void add_members(Series& out, const LabelValues& labels,
                 const std::vector<const std::array<Element, Size>*>& parts) {
  for (std::size_t i = 0; i < Size; ++i) {
    std::vector<const Element*> elements;
    for (const auto* part : parts) elements.push_back(&(*part)[i]);
    add_members<zeroes, Words...>(out, joined(labels, words(static_cast<Word>(i))), elements);
  }
}

/// The member in each of `parts`.
template <class Metrics, class Member>
std::vector<const Member*> members(const std::vector<const Metrics*>& parts, Member Metrics::* member) {
  std::vector<const Member*> all;
  for (const Metrics* part : parts) all.push_back(&(part->*member));
  return all;
}

/// A member of the workers' counters: a counter or histogram, or an array of them by some enumerations.
template <auto kMember, class... Words>
void of(Scrape& from, Series& out) {
  for (const auto& group : from.groups(kMember))
    add_members<Zeroes::kShown, Words...>(out, group.labels(), members(group.parts, kMember));
}
template <auto kMember, class... Words>
void of_seen(Scrape& from, Series& out) {
  for (const auto& group : from.groups(kMember))
    add_members<Zeroes::kLeftOut, Words...>(out, group.labels(), members(group.parts, kMember));
}
/// An array by an enumeration and by whether the session was resumed.
template <auto kMember, class Word>
void of_resumed(Scrape& from, Series& out) {
  for (const auto& group : from.groups(kMember)) {
    const auto parts = members(group.parts, kMember);
    for (std::size_t resumed = 0; resumed < kYesNo.size(); ++resumed) {
      for (std::size_t i = 0; i < parts.front()->size(); ++i) {
        std::vector<decltype(&(*parts.front())[i][resumed])> elements;
        for (const auto* part : parts) elements.push_back(&(*part)[i][resumed]);
        out.add_sum(joined(group.labels(), {name(static_cast<Word>(i)), kYesNo[resumed]}), elements);
      }
    }
  }
}

void handshake_failures(Scrape& from, Series& out) {
  for (const auto& group : from.groups(&ListenerMetrics::handshake_failures)) {
    std::map<std::pair<HandshakeFailure, std::uint8_t>, std::uint64_t> total;
    for (const ListenerMetrics* part : group.parts) part->handshake_failures.add_to(total);
    for (const auto& [pair, count] : total)
      out.add(joined(group.labels(), {name(pair.first), alert_name(pair.second)}), count);
  }
}

LabelValues words(const Negotiated& key) {
  return {key.version, key.group, key.cipher, key.key_type};
}
LabelValues words(const Signatures& key) {
  return {key.ours, key.clients};
}
LabelValues words(const OfferedSession& key) {
  return {key.certificate, kYesNo[key.resumed ? 1 : 0]};
}

/// Combinations, of which those have a series that have occurred.
template <auto kMember>
void of_combinations(Scrape& from, Series& out) {
  for (const auto& group : from.groups(kMember)) {
    decltype((group.parts.front()->*kMember).values()) total;
    for (const auto* part : group.parts) {
      for (const auto& [key, count] : (part->*kMember).values()) total[key] += count;
    }
    for (const auto& [key, count] : total) out.add(joined(group.labels(), words(key)), count);
  }
}

void worker_busy_seconds(Scrape& from, Series& out) {
  for (const auto& group : from.groups(&LoopMetrics::busy_us)) {
    double seconds = 0;
    for (const LoopMetrics* part : group.parts) seconds += static_cast<double>(part->busy_us.value()) / 1e6;
    out.add(group.labels(), seconds);
  }
}

void worker_cpu(Scrape& from, Series& out) {
  for (const auto& group : from.groups(&LoopMetrics::cpu_and_one)) {
    const std::uint64_t cpu_and_one = group.parts.front()->cpu_and_one.value();
    if (cpu_and_one > 0) out.add(group.labels(), cpu_and_one - 1);
  }
}

void worker_busy_ratio(Scrape& from, Series& out) {
  for (const WorkerReport& worker : from.state.workers)
    out.add({std::to_string(worker.worker)}, worker.busy_ratio);
}

void ticket_key_age(Scrape& from, Series& out) {
  const auto now = std::chrono::system_clock::now();
  for (const ListenerReport& listener : from.state.listeners) {
    if (!listener.ticket_keys_for) continue;
    // A key is made of the secret and of the time: it is in use since the later of the two.
    const std::chrono::duration<double> age =
        std::min(now.time_since_epoch() % *listener.ticket_keys_for, now - listener.ticket_secret_since);
    out.add({listener.name}, age.count());
  }
}

void keylog_enabled(Scrape& from, Series& out) {
  for (const ListenerReport& listener : from.state.listeners)
    out.add({listener.name}, std::uint64_t{listener.keylog});
}

void backend_up(Scrape& from, Series& out) {
  for (const BackendReport& backend : from.state.backends) {
    for (const ServerReport& server : backend.servers)
      out.add({backend.name, server.address}, std::uint64_t{server.up});
  }
}

void backend_shares(Scrape& from, Series& out) {
  for (const BackendReport& backend : from.state.backends) {
    for (const ServerReport& server : backend.servers) out.add({backend.name, server.address}, server.share);
  }
}

template <auto kTime>
void certificate_times(Scrape& from, Series& out) {
  for (const auto& one : from.certificates()) out.add({one.file, one.name}, unix_seconds(one.*kTime));
}

template <auto kCount>
void certificate_counts(Scrape& from, Series& out) {
  for (const auto& [listener, counts] : from.state.certificate_counts) out.add({listener}, counts.*kCount);
}

void canary_states(Scrape& from, Series& out) {
  for (const CanaryReport& one : from.state.canaries) {
    out.add({one.listener, one.file, "comparing"}, std::uint64_t{!one.went_back});
    out.add({one.listener, one.file, "held_back"}, std::uint64_t{one.went_back});
  }
}

void canary_handshakes(Scrape& from, Series& out) {
  for (const CanaryReport& one : from.state.canaries) {
    out.add({one.listener, one.file, "new", "ok"}, one.with_new.ok);
    out.add({one.listener, one.file, "new", "failed"}, one.with_new.failed);
    out.add({one.listener, one.file, "old", "ok"}, one.with_old.ok);
    out.add({one.listener, one.file, "old", "failed"}, one.with_old.failed);
  }
}

void canary_ends(Scrape& from, Series& out) {
  for (const auto& [end, count] : from.state.canary_ends)
    out.add({end.listener, end.file, end.result}, count);
}

void reloads(Scrape& from, Series& out) {
  out.add({"ok"}, from.state.reload.ok);
  out.add({"partly"}, from.state.reload.partly);
  out.add({"failed"}, from.state.reload.failed);
}

void file_faults(Scrape& from, Series& out) {
  for (const auto& [fault, count] : from.state.reload.file_faults) out.add({fault}, count);
}

// A sample is a double, which holds 53 bits.
void config_hash(Scrape& from, Series& out) {
  out.add({}, from.state.reload.config_hash & ((std::uint64_t{1} << 53) - 1));
}

void handover_connections(Scrape& from, Series& out) {
  for (const auto& [key, count] : from.state.handover) out.add({key.first, key.second}, count);
}

void handovers(Scrape& from, Series& out) {
  out.add({"ok"}, from.state.handovers_ok);
  out.add({"failed"}, from.state.handovers_failed);
}

void drain_connections_remaining(Scrape& from, Series& out) {
  std::uint64_t remaining = 0;
  for (const DrainReport& drain : from.state.drains) remaining += drain.remaining;
  out.add({}, remaining);
}

void drain_oldest_connection(Scrape& from, Series& out) {
  std::chrono::milliseconds oldest{0};
  for (const DrainReport& drain : from.state.drains) oldest = std::max(oldest, drain.oldest);
  out.add({}, static_cast<double>(oldest.count()) / 1e3);
}

template <auto kMember>
void of_state(Scrape& from, Series& out) {
  out.add({}, from.state.*kMember);
}
template <auto kMember>
void of_process(Scrape& from, Series& out) {
  out.add({}, from.process.*kMember);
}

// In the order of the text.
constexpr auto kRows = std::to_array<MetricRow>({
    {"headgate_connections_accepted_total",
     kCounter,
     "Connections accepted.",
     {"listener"},
     of<&ListenerMetrics::accepted>},
    {"headgate_connections_active",
     kGauge,
     "Connections open now.",
     {"listener"},
     of<&ListenerMetrics::active>},
    {"headgate_connections_closed_total",
     kCounter,
     "Connections ended, by close reason and the side it was about.",
     {"listener", "reason", "side"},
     of_seen<&ListenerMetrics::closed, CloseReason>},
    {"headgate_sources_penalized_total",
     kCounter,
     "Sources that began to be refused because their handshakes kept failing.",
     {"listener"},
     of<&ListenerMetrics::sources_penalized>},
    {"headgate_connection_duration_seconds",
     kHistogram,
     "From accept to close.",
     {"listener"},
     of<&ListenerMetrics::connection_duration>},
    {"headgate_tcp_rtt_seconds",
     kHistogram,
     "Round trip times of live connections as TCP measures them, of some connections each second.",
     {"listener", "side"},
     of<&ListenerMetrics::tcp_rtt, Peer>},
    {"headgate_tcp_retransmits",
     kHistogram,
     "Segments that live connections have sent again since their begin, of some connections each second.",
     {"listener", "side"},
     of<&ListenerMetrics::tcp_retransmits, Peer>},
    {"headgate_proxy_headers_total",
     kCounter,
     "PROXY headers of clients, by version; those that name a private link of a cloud, by its kind.",
     {"listener", "kind"},
     of_seen<&ListenerMetrics::proxy_headers, ProxyHeaderKind>},
    {"headgate_bytes_total",
     kCounter,
     "Plaintext bytes relayed.",
     {"listener", "direction"},
     of<&ListenerMetrics::bytes, Direction>},
    {"headgate_spliced_bytes_total",
     kCounter,
     "Bytes of headgate_bytes_total that stayed in the kernel (splice), because both sides are plain.",
     {"listener", "direction"},
     of_seen<&ListenerMetrics::spliced_bytes, Direction>},
    {"headgate_splice_events_total",
     kCounter,
     "How often a direction began to be spliced (to_splice), stopped (to_buffer), or got no pipe.",
     {"listener", "event"},
     of_seen<&ListenerMetrics::splice_events, SpliceEvent>},
    {"headgate_handshakes_total",
     kCounter,
     "TLS handshakes with clients that came to an end.",
     {"listener", "result", "resumed"},
     of_resumed<&ListenerMetrics::handshakes, HandshakeResult>},
    {"headgate_handshake_failures_total",
     kCounter,
     "Failed TLS handshakes, by reason and the alert sent or received.",
     {"listener", "reason", "alert"},
     handshake_failures},
    {"headgate_client_certificate_faults_total",
     kCounter,
     "Client certificates refused in a handshake, by what is wrong with them.",
     {"listener", "fault"},
     of_seen<&ListenerMetrics::client_certificate_faults, ClientCertificateFault>},
    {"headgate_handshake_duration_seconds",
     kHistogram,
     "Time of successful TLS handshakes: in total, waiting for a permit, computing, waiting for the client.",
     {"listener", "phase", "resumed"},
     of_resumed<&ListenerMetrics::handshake_duration, HandshakePhase>},
    {"headgate_handshakes_negotiated_total",
     kCounter,
     "Successful TLS handshakes by what was negotiated.",
     {"listener", "version", "group", "cipher", "key_type"},
     of_combinations<&ListenerMetrics::negotiated>},
    {"headgate_handshakes_signed_total",
     kCounter,
     "Successful full TLS handshakes by the signature algorithms of both sides; resumed ones sign nothing.",
     {"listener", "signature", "client_signature"},
     of_combinations<&ListenerMetrics::signatures>},
    {"headgate_handshakes_would_refuse_total",
     kCounter,
     "Successful TLS handshakes that a dry-run policy would have refused, and the reason it would give.",
     {"listener", "policy", "reason"},
     of<&ListenerMetrics::would_refuse, DryRunRefusal>},
    {"headgate_hello_retry_requests_total",
     kCounter,
     "HelloRetryRequests sent: the client's key share was of another group, which cost a round trip.",
     {"listener"},
     of<&ListenerMetrics::hello_retry_requests>},
    {"headgate_handshakes_in_progress",
     kGauge,
     "TLS handshakes begun and not ended.",
     {"worker"},
     of<&LoopMetrics::handshakes_in_progress>},
    {"headgate_handshakes_queued",
     kGauge,
     "TLS handshakes waiting for a permit.",
     {"worker"},
     of<&LoopMetrics::handshakes_queued>},
    {"headgate_sessions_tickets_total",
     kCounter,
     "What became of session tickets.",
     {"listener", "event"},
     of<&ListenerMetrics::tickets, TicketEvent>},
    {"headgate_sessions_offered_total",
     kCounter,
     "Successful TLS handshakes whose client offered a session, by certificate or directory of certificates.",
     {"listener", "certificate", "resumed"},
     of_combinations<&ListenerMetrics::offered_sessions>},
    {"headgate_ticket_key_age_seconds",
     kGauge,
     "Age of the key that new session tickets get.",
     {"listener"},
     ticket_key_age},
    {"headgate_record_layer_connections_total",
     kCounter,
     "Connections by what protects their TLS records after the handshake, and why.",
     {"listener", "layer", "reason"},
     of_seen<&ListenerMetrics::record_layer, Protection, ProtectionReason>},
    {"headgate_key_updates_total",
     kCounter,
     "KeyUpdates of TLS 1.3 that a peer sent, by its side.",
     {"listener", "side"},
     of_seen<&ListenerMetrics::key_updates, Side>},
    {"headgate_ocsp_staples_served_total",
     kCounter,
     "Successful TLS handshakes in which the client asked for an OCSP staple and got one.",
     {"listener"},
     of<&ListenerMetrics::ocsp_staples_served>},
    {"headgate_ocsp_staples_expired_total",
     kCounter,
     "Handshakes served without their OCSP staple because it had expired.",
     {"listener"},
     of<&ListenerMetrics::ocsp_staples_expired>},
    {"headgate_certificates_compressed_total",
     kCounter,
     "TLS handshakes in which the certificate was sent compressed.",
     {"listener"},
     of<&ListenerMetrics::certificates_compressed>},
    {"headgate_postgres_cancels_total",
     kCounter,
     "Requests of PostgreSQL clients to cancel a query, where Headgate takes them to the servers.",
     {"listener", "result"},
     of_seen<&ListenerMetrics::postgres_cancels, CancelResult>},
    {"headgate_keylog_enabled",
     kGauge,
     "1 while TLS secrets are written to a file for debugging.",
     {"listener"},
     keylog_enabled},
    {"headgate_backend_connections_active",
     kGauge,
     "Connections open to a server now.",
     {"backend", "server"},
     of<&ServerMetrics::active>},
    {"headgate_backend_connect_duration_seconds",
     kHistogram,
     "Time of successful connects to a server, TLS included.",
     {"backend", "server"},
     of<&ServerMetrics::connect_duration>},
    {"headgate_backend_connect_failures_total",
     kCounter,
     "Connects to a server that failed.",
     {"backend", "server", "reason"},
     of<&ServerMetrics::connect_failures, ConnectFailure>},
    {"headgate_backend_spares",
     kGauge,
     "Spare connections to a server that wait for a client.",
     {"backend", "server"},
     of<&ServerMetrics::spares>},
    {"headgate_backend_spares_stopped",
     kGauge,
     "Workers that make no spare connections to a server any more, because it speaks first.",
     {"backend", "server"},
     of<&ServerMetrics::spares_stopped>},
    {"headgate_backend_spares_used_total",
     kCounter,
     "Spare connections that a client has got.",
     {"backend", "server"},
     of<&ServerMetrics::spares_used>},
    {"headgate_backend_spares_discarded_total",
     kCounter,
     "Spare connections that no client has got, by why they ended.",
     {"backend", "server", "reason"},
     of_seen<&ServerMetrics::spares_discarded, SpareEnd>},
    {"headgate_backend_queued",
     kGauge,
     "Connections that wait for a place, because every server is at its max_connections.",
     {"backend"},
     of<&BackendMetrics::queued>},
    {"headgate_backend_queue_duration_seconds",
     kHistogram,
     "Time that connections waited for a place, however that ended.",
     {"backend"},
     of<&BackendMetrics::queue_duration>},
    {"headgate_backend_queue_total",
     kCounter,
     "Connections that had to wait for a place, by what became of that.",
     {"backend", "result"},
     of<&BackendMetrics::queue_ends, QueueEnd>},
    {"headgate_backend_up",
     kGauge,
     "1 while the health check has a server up and no worker passes it over.",
     {"backend", "server"},
     backend_up},
    {"headgate_backend_share_ratio",
     kGauge,
     "Part of its weight that a server gets: less than 1 in the slow start after its check had it down.",
     {"backend", "server"},
     backend_shares},
    {"headgate_certificates",
     kGauge,
     "Certificates held; the 1000 that expire first have series of their own.",
     {},
     [](Scrape& from, Series& out) { out.add({}, std::uint64_t{certificates_held(from.state)}); }},
    {"headgate_certificates_expiring",
     kGauge,
     "Certificates of whose life less than warn_before is left, the expired ones among them.",
     {"listener"},
     certificate_counts<&CertificateCounts::expiring>},
    {"headgate_certificates_refused",
     kGauge,
     "Certificate files that are refused: what they held before is served, or nothing of them.",
     {"listener"},
     certificate_counts<&CertificateCounts::refused>},
    {"headgate_certificate_not_before_timestamp_seconds",
     kGauge,
     "Start of a certificate's validity.",
     {"certificate", "name"},
     certificate_times<&Scrape::ShownCertificate::not_before>},
    {"headgate_certificate_not_after_timestamp_seconds",
     kGauge,
     "End of a certificate's validity.",
     {"certificate", "name"},
     certificate_times<&Scrape::ShownCertificate::not_after>},
    {"headgate_certificate_canary",
     kGauge,
     "1 in the state a changed certificate is in: compared with the one before it, or held back.",
     {"listener", "certificate", "state"},
     canary_states},
    {"headgate_certificate_canary_handshakes",
     kGauge,
     "Handshakes so far with a changed certificate and with the one before it.",
     {"listener", "certificate", "group", "result"},
     canary_handshakes},
    {"headgate_certificate_canary_total",
     kCounter,
     "Comparisons of a changed certificate with the one before it, begun and ended.",
     {"listener", "certificate", "result"},
     canary_ends},
    {"headgate_reloads_total", kCounter, "Reloads of configuration and certificates.", {"result"}, reloads},
    {"headgate_reload_last_success_timestamp_seconds",
     kGauge,
     "When what is served now was loaded.",
     {},
     [](Scrape& from, Series& out) { out.add({}, unix_seconds(from.state.reload.last_success)); }},
    {"headgate_file_faults_total",
     kCounter,
     "Faults of certificates, keys, lists and other files found by a start or a reload, warnings aside.",
     {"fault"},
     file_faults},
    {"headgate_config_hash",
     kGauge,
     "A hash of the configuration in force: equal where instances agree.",
     {},
     config_hash},
    {"headgate_handovers_total",
     kCounter,
     "Upgrades: the new process serves, or it failed and this one carried on.",
     {"result"},
     handovers},
    {"headgate_handover_connections_total",
     kCounter,
     "Live connections at an upgrade: moved to the new process, or left in the old one and why.",
     {"result", "reason"},
     handover_connections},
    {"headgate_draining",
     kGauge,
     "1 while the process drains.",
     {},
     [](Scrape& from, Series& out) { out.add({}, std::uint64_t{from.state.draining}); }},
    {"headgate_drain_connections_remaining",
     kGauge,
     "Connections that drains still wait for: of the process, of a listener, a backend or a peer.",
     {},
     drain_connections_remaining},
    {"headgate_drain_oldest_connection_seconds",
     kGauge,
     "Age of the oldest connection a drain waits for.",
     {},
     drain_oldest_connection},
    {"headgate_drain_bytes_total",
     kCounter,
     "Plaintext bytes that connections moved while they drained.",
     {},
     of_state<&ProcessState::drained_bytes>},
    {"headgate_worker_loop_lag_seconds",
     kHistogram,
     "How long what was ready had to wait for a worker's loop.",
     {"worker"},
     of<&LoopMetrics::loop_lag>},
    {"headgate_worker_busy_ratio",
     kGauge,
     "Share of the last 0.5 s (0.05 s in a drain) in which a worker worked.",
     {"worker"},
     worker_busy_ratio},
    {"headgate_worker_busy_seconds_total",
     kCounter,
     "Time a worker worked.",
     {"worker"},
     worker_busy_seconds},
    {"headgate_worker_accept_pauses_total",
     kCounter,
     "Times a worker paused accepting because descriptors ran out.",
     {"worker"},
     of<&LoopMetrics::accept_pauses>},
    {"headgate_worker_cpu",
     kGauge,
     "The CPU that a worker is bound to; absent where it is bound to none.",
     {"worker"},
     worker_cpu},
    {"headgate_log_lines_dropped_total",
     kCounter,
     "Log lines lost because the log's reader was too slow.",
     {},
     of_state<&ProcessState::log_lines_dropped>},
    {"headgate_log_lines_limited_total",
     kCounter,
     "Failure lines left out and summed up because there were many alike.",
     {"listener"},
     of<&ListenerMetrics::log_lines_dropped>},
    {"headgate_build_info",
     kGauge,
     "Always 1; the labels say what runs.",
     {"version", "openssl"},
     [](Scrape& from, Series& out) { out.add({from.state.version, from.state.openssl}, std::uint64_t{1}); }},
    {"process_cpu_seconds_total",
     kCounter,
     "User and system CPU time spent.",
     {},
     of_process<&ProcessStats::Numbers::cpu_seconds>},
    {"process_resident_memory_bytes",
     kGauge,
     "Resident memory.",
     {},
     of_process<&ProcessStats::Numbers::resident_bytes>},
    {"process_virtual_memory_bytes",
     kGauge,
     "Virtual memory.",
     {},
     of_process<&ProcessStats::Numbers::virtual_bytes>},
    {"process_open_fds", kGauge, "Open file descriptors.", {}, of_process<&ProcessStats::Numbers::open_fds>},
    {"process_max_fds",
     kGauge,
     "Most file descriptors the process may open.",
     {},
     of_process<&ProcessStats::Numbers::max_fds>},
    {"process_start_time_seconds",
     kGauge,
     "When the process started, in seconds since 1970.",
     {},
     of_process<&ProcessStats::Numbers::start_time_seconds>},
    {"process_threads", kGauge, "Threads of the process.", {}, of_process<&ProcessStats::Numbers::threads>},
});
static_assert(kRows.size() <= MetricSet().size());

}  // namespace

std::size_t MetricRow::label_count() const {
  return static_cast<std::size_t>(std::ranges::find(labels, std::string_view()) - labels.begin());
}

std::size_t metric_count() {
  return kRows.size();
}

const MetricRow& row(std::size_t metric) {
  return kRows[metric];
}

std::optional<std::size_t> find_metric(std::string_view name) {
  const auto found = std::ranges::find(kRows, name, &MetricRow::name);
  if (found == kRows.end()) return std::nullopt;
  return static_cast<std::size_t>(found - kRows.begin());
}

}  // namespace headgate
