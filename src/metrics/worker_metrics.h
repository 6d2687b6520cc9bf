#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "base/close_reason.h"
#include "base/record_protection.h"
#include "metrics/counter.h"
#include "metrics/failure_counters.h"

/// The counters that one worker writes and the exporter reads. A worker gets its own objects from
/// MetricsRegistry when it takes over a snapshot, and then counts without a lock or a shared cache line.
/// Contract: a member is exported by its row in the table of metrics.cc, which names it beside the name, the
/// kind, the help and the labels.
namespace headgate {

enum class Direction : std::uint8_t { kFromClient, kToClient };
/// A peer of a connection.
enum class Peer : std::uint8_t { kClient, kBackend };
/// A flow between two plain sides has begun to be spliced; has stopped, because it carries little at a time
/// or its destination is slow; or could not be, because there was no pipe.
enum class SpliceEvent : std::uint8_t { kToSplice, kToBuffer, kNoPipe };
enum class HandshakeResult : std::uint8_t { kOk, kFailed, kTimeout, kProbe, kShed };
enum class HandshakePhase : std::uint8_t { kTotal, kQueue, kCpu, kPeerWait };
enum class TicketEvent : std::uint8_t { kIssued, kResumed, kExpired, kUnknownKey, kRefusedPolicy };
/// The fault of a client's certificate, finer than the reason of the handshake's failure.
enum class ClientCertificateFault : std::uint8_t {
  kExpired,
  kNotYetValid,
  kSelfSigned,
  kUnknownCa,
  kWrongPurpose,
  kWeak,
  kRevoked,
  kNoRevocationList,
  kNotAllowed,
  kOther,
};

/// The PROXY headers of clients. Those of version 2 that name a private link count by its kind.
enum class ProxyHeaderKind : std::uint8_t {
  kV1,
  kV2,
  kLocal,
  kAwsVpcEndpoint,
  kAzurePrivateLink,
  kGcpPscConnection
};

inline constexpr std::size_t kProxyHeaderKindCount = 6;

/// What became of a PostgreSQL client's request to cancel a query.
enum class CancelResult : std::uint8_t {
  kDelivered,  ///< A server at least has got it.
  kFailed,     ///< No server could be reached.
  kRefused     ///< It came without TLS, where clients need a certificate.
};

/// A policy of `tls.dry_run` and the failure by which it would refuse the client.
enum class DryRunRefusal : std::uint8_t {
  kTls13Only,
  kPqOnly,
  // By client_auth:
  kCertificateMissing,
  kCertificateExpired,
  kCertificateUntrusted,
  kCertificateRevoked,
  kCertificateNotAllowed
};

inline constexpr std::size_t kDryRunRefusalCount = 7;
inline constexpr std::size_t kCancelResultCount = 3;
inline constexpr std::size_t kDirectionCount = 2;
inline constexpr std::size_t kSpliceEventCount = 3;
inline constexpr std::size_t kPeerCount = 2;
inline constexpr std::size_t kHandshakeResultCount = 5;
inline constexpr std::size_t kHandshakePhaseCount = 4;
inline constexpr std::size_t kTicketEventCount = 5;
inline constexpr std::size_t kClientCertificateFaultCount = 10;

/// The values of labels ("from_client", "peer_wait", "unknown_key", "buffered_input"). Any thread.
[[nodiscard]] std::string_view name(Direction direction);
[[nodiscard]] std::string_view name(SpliceEvent event);
[[nodiscard]] std::string_view name(Peer peer);
[[nodiscard]] std::string_view name(HandshakeResult result);
[[nodiscard]] std::string_view name(HandshakePhase phase);
[[nodiscard]] std::string_view name(TicketEvent event);
[[nodiscard]] std::string_view name(ClientCertificateFault fault);
[[nodiscard]] std::string_view name(ProxyHeaderKind kind);
[[nodiscard]] std::string_view name(CancelResult result);
/// The policy: "client_auth".
[[nodiscard]] std::string_view name(DryRunRefusal refusal);
/// The failure that clients of that kind would meet.
[[nodiscard]] HandshakeFailure failure_of(DryRunRefusal refusal);
/// The refusal by `client_auth` for that reason, which is one of client certificates.
[[nodiscard]] DryRunRefusal dry_run_refusal(HandshakeFailure why);

/// One negotiated combination, counted by name. The names are OpenSSL's, so their number is bounded.
struct Negotiated {
  std::string version, group, cipher, key_type;
  auto operator<=>(const Negotiated&) const = default;
};

/// The signatures of one full handshake, by their names in RFC 8446: constants, so their number is bounded.
struct Signatures {
  std::string_view ours;     ///< "rsa_pss_rsae_sha256"; "none": the key exchange needed no signature.
  std::string_view clients;  ///< Of the client's CertificateVerify; "none": it showed no certificate.
  auto operator<=>(const Signatures&) const = default;
};

/// A handshake whose client offered a session.
struct OfferedSession {
  std::string certificate;  ///< That of the handshake, as CertificateLabels calls it.
  bool resumed = false;
  auto operator<=>(const OfferedSession&) const = default;
};

/// Counters of combinations that are made with their first event, because few of all possible ones occur.
template <class Key>
class SparseCounters {
 public:
  /// Returns the counter of this combination, which stays valid. Writer thread. The lock is uncontended but
  /// for the moment of a scrape.
  Counter& of(const Key& key) {
    const std::lock_guard lock(mutex_);
    auto& counter = counters_[key];
    if (!counter) counter = std::make_unique<Counter>();
    return *counter;
  }
  /// Returns a copy of all counts. Any thread.
  [[nodiscard]] std::map<Key, std::uint64_t> values() const {
    const std::lock_guard lock(mutex_);
    std::map<Key, std::uint64_t> values;
    for (const auto& [key, counter] : counters_) values.emplace(key, counter->value());
    return values;
  }

 private:
  mutable std::mutex mutex_;
  std::map<Key, std::unique_ptr<Counter>> counters_;
};
using NegotiatedCounters = SparseCounters<Negotiated>;

struct ListenerMetrics {
  Counter accepted;
  Counter active;  // a gauge
  std::array<Counter, kCloseReasonCount> closed;
  ConnectionHistogram connection_duration;
  std::array<Counter, kProxyHeaderKindCount> proxy_headers;  // by ProxyHeaderKind
  // What TCP knows of live connections, as TcpSampler takes it; by Peer.
  std::array<DurationHistogram, kPeerCount> tcp_rtt;
  std::array<CountHistogram, kPeerCount> tcp_retransmits;
  std::array<Counter, kDirectionCount> bytes;                            // by Direction; plaintext
  std::array<Counter, kDirectionCount> spliced_bytes;                    // by Direction; of `bytes`
  std::array<Counter, kSpliceEventCount> splice_events;                  // by SpliceEvent
  std::array<std::array<Counter, 2>, kHandshakeResultCount> handshakes;  // by HandshakeResult, resumed
  FailureCounters handshake_failures;                                    // by reason, alert
  std::array<std::array<DurationHistogram, 2>, kHandshakePhaseCount>
      handshake_duration;                                                       // by HandshakePhase, resumed
  std::array<Counter, kClientCertificateFaultCount> client_certificate_faults;  // by ClientCertificateFault
  NegotiatedCounters negotiated;
  SparseCounters<Signatures> signatures;
  SparseCounters<OfferedSession> offered_sessions;
  std::array<Counter, kTicketEventCount> tickets;  // by TicketEvent
  std::array<std::array<Counter, kProtectionReasonCount>, kProtectionCount>
      record_layer;                             // by Protection, ProtectionReason
  std::array<Counter, kSideCount> key_updates;  // by Side
  Counter ocsp_staples_served;
  Counter ocsp_staples_expired;  // handshakes that went without their staple because it had expired
  Counter certificates_compressed;
  Counter hello_retry_requests;
  std::array<Counter, kDryRunRefusalCount> would_refuse;  // by DryRunRefusal
  Counter sources_penalized;
  Counter log_lines_dropped;                                 // failure lines left out by the FailureLimiter
  std::array<Counter, kCancelResultCount> postgres_cancels;  // by CancelResult
};
// Each listener and worker has one of these: a page for each is affordable for a thousand listeners.
static_assert(sizeof(ListenerMetrics) <= 4096);

/// The reason why a connection to a server failed.
enum class ConnectFailure : std::uint8_t {
  kRefused,
  kTimeout,
  kUnreachable,
  kTls,
  kStarttls,   ///< The server did not go on to TLS when it was asked to.
  kPlaintext,  ///< The server, or an attacker on the way to it, sent plaintext where TLS had to begin.
  kResolve,
  kSource,    ///< There is no connecting from the address that `source` says.
  kShortage,  ///< This machine had no descriptor, memory or local port left for the connection.
  kOther
};
inline constexpr std::size_t kConnectFailureCount = 10;
[[nodiscard]] std::string_view name(ConnectFailure failure);

/// Why a spare connection ended before a client could use it.
enum class SpareEnd : std::uint8_t {
  kEnded,        ///< The server ended or reset it.
  kSpoke,        ///< The server sent something.
  kFailed,       ///< It could not be established.
  kOld,          ///< No client has needed it for long.
  kServerAway,   ///< The server is down or ejected, or the address is no longer one of its addresses.
  kPlaceWanted,  ///< A client needs its place at a server with max_connections.
  kDescriptors,  ///< The process has run out of descriptors.
  kUnwanted,     ///< A reload has changed the backend, or the worker accepts no more.
};
inline constexpr std::size_t kSpareEndCount = 8;
[[nodiscard]] std::string_view name(SpareEnd end);

struct ServerMetrics {
  Counter active;  // a gauge
  DurationHistogram connect_duration;
  std::array<Counter, kConnectFailureCount> connect_failures;
  Counter spares;          // a gauge: those that a client can take
  Counter spares_stopped;  // a gauge: 1 where the worker makes none any more, because the server speaks first
  Counter spares_used;
  std::array<Counter, kSpareEndCount> spares_discarded;  // by SpareEnd
};

/// How a connection's wait for a place at a server ended.
enum class QueueEnd : std::uint8_t {
  kServed,   ///< It got a place.
  kTimeout,  ///< Its time was over.
  kFull,     ///< As many waited already as may: it did not wait at all.
  kLeft,     ///< It ended meanwhile, for another reason.
};
inline constexpr std::size_t kQueueEndCount = 4;
[[nodiscard]] std::string_view name(QueueEnd end);

struct BackendMetrics {
  Counter queued;  // a gauge
  DurationHistogram queue_duration;
  std::array<Counter, kQueueEndCount> queue_ends;  // by QueueEnd
};

/// The counters of one worker that belong to no listener.
struct LoopMetrics {
  Counter handshakes_in_progress;  // a gauge
  Counter handshakes_queued;       // a gauge
  DurationHistogram loop_lag;
  Counter busy_us;        // time the loop spent working
  Counter accept_pauses;  // accepting paused because descriptors ran out
  Counter cpu_and_one;    // a gauge: 1 + the CPU that the worker is bound to; 0: none
};

/// Gives each worker its counters and lets the exporter walk over them. The counters live as long as the
/// registry, through every reload, so they never fall. Any thread.
class MetricsRegistry {
 public:
  [[nodiscard]] ListenerMetrics& listener(int worker, const std::string& listener);
  [[nodiscard]] ServerMetrics& server(int worker, const std::string& backend, const std::string& server);
  [[nodiscard]] BackendMetrics& backend(int worker, const std::string& backend);
  [[nodiscard]] LoopMetrics& loop(int worker);

  struct ListenerEntry {
    int worker;
    std::string listener;
    const ListenerMetrics* metrics;
  };
  struct ServerEntry {
    int worker;
    std::string backend, server;
    const ServerMetrics* metrics;
  };
  struct BackendEntry {
    int worker;
    std::string backend;
    const BackendMetrics* metrics;
  };
  struct LoopEntry {
    int worker;
    const LoopMetrics* metrics;
  };
  [[nodiscard]] std::vector<ListenerEntry> listeners() const;
  [[nodiscard]] std::vector<ServerEntry> servers() const;
  [[nodiscard]] std::vector<BackendEntry> backends() const;
  [[nodiscard]] std::vector<LoopEntry> loops() const;

 private:
  mutable std::mutex mutex_;
  std::map<std::pair<int, std::string>, std::unique_ptr<ListenerMetrics>> listeners_;
  std::map<std::tuple<int, std::string, std::string>, std::unique_ptr<ServerMetrics>> servers_;
  std::map<std::pair<int, std::string>, std::unique_ptr<BackendMetrics>> backends_;
  std::map<int, std::unique_ptr<LoopMetrics>> loops_;
};

}  // namespace headgate
