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

inline constexpr std::size_t kDirectionCount = 2;
inline constexpr std::size_t kHandshakeResultCount = 5;
inline constexpr std::size_t kHandshakePhaseCount = 4;
inline constexpr std::size_t kTicketEventCount = 5;
inline constexpr std::size_t kClientCertificateFaultCount = 10;

/// The values of labels ("from_client", "peer_wait", "unknown_key", "buffered_input"). Any thread.
[[nodiscard]] std::string_view name(Direction direction);
[[nodiscard]] std::string_view name(HandshakeResult result);
[[nodiscard]] std::string_view name(HandshakePhase phase);
[[nodiscard]] std::string_view name(TicketEvent event);
[[nodiscard]] std::string_view name(ClientCertificateFault fault);

/// One negotiated combination, counted by name. The names are OpenSSL's, so their number is bounded.
struct Negotiated {
  std::string version, group, cipher, key_type;
  auto operator<=>(const Negotiated&) const = default;
};

/// Counts combinations: the writer holds a short uncontended lock only when a combination is new.
class NegotiatedCounters {
 public:
  /// Returns the counter of this combination, which stays valid. Writer thread. A worker keeps the pointer.
  Counter& of(const Negotiated& key);
  /// Returns a copy of all counts. Any thread.
  [[nodiscard]] std::map<Negotiated, std::uint64_t> values() const;

 private:
  mutable std::mutex mutex_;
  std::map<Negotiated, std::unique_ptr<Counter>> counters_;
};

struct ListenerMetrics {
  Counter accepted;
  Counter active;  // a gauge
  std::array<Counter, kCloseReasonCount> closed;
  ConnectionHistogram connection_duration;
  std::array<Counter, kDirectionCount> bytes;                            // by Direction; plaintext
  std::array<std::array<Counter, 2>, kHandshakeResultCount> handshakes;  // by HandshakeResult, resumed
  FailureCounters handshake_failures;                                    // by reason, alert
  std::array<std::array<DurationHistogram, 2>, kHandshakePhaseCount>
      handshake_duration;                                                       // by HandshakePhase, resumed
  std::array<Counter, kClientCertificateFaultCount> client_certificate_faults;  // by ClientCertificateFault
  NegotiatedCounters negotiated;
  std::array<Counter, kTicketEventCount> tickets;  // by TicketEvent
  std::array<std::array<Counter, kProtectionReasonCount>, kProtectionCount>
      record_layer;                             // by Protection, ProtectionReason
  std::array<Counter, kSideCount> key_updates;  // by Side
  Counter ocsp_staples_expired;  // handshakes that went without their staple because it had expired
  Counter certificates_compressed;
  Counter hello_retry_requests;
  Counter would_refuse_tls13_only;
  Counter would_refuse_pq_only;
  Counter log_lines_dropped;  // failure lines left out by the FailureLimiter
};
// Each listener and worker has one of these: a page for each is affordable for a thousand listeners.
static_assert(sizeof(ListenerMetrics) <= 4096);

/// The reason why a connection to a server failed.
enum class ConnectFailure : std::uint8_t { kRefused, kTimeout, kUnreachable, kTls, kResolve, kOther };
inline constexpr std::size_t kConnectFailureCount = 6;
[[nodiscard]] std::string_view name(ConnectFailure failure);

struct ServerMetrics {
  Counter active;  // a gauge
  DurationHistogram connect_duration;
  std::array<Counter, kConnectFailureCount> connect_failures;
};

/// The counters of one worker that belong to no listener.
struct LoopMetrics {
  Counter handshakes_in_progress;  // a gauge
  Counter handshakes_queued;       // a gauge
  DurationHistogram loop_lag;
  Counter busy_us;        // time the loop spent working
  Counter accept_pauses;  // accepting paused because descriptors ran out
};

/// Gives each worker its counters and lets the exporter walk over them. The counters live as long as the
/// registry, through every reload, so they never fall. Any thread.
class MetricsRegistry {
 public:
  [[nodiscard]] ListenerMetrics& listener(int worker, const std::string& listener);
  [[nodiscard]] ServerMetrics& server(int worker, const std::string& backend, const std::string& server);
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
  struct LoopEntry {
    int worker;
    const LoopMetrics* metrics;
  };
  [[nodiscard]] std::vector<ListenerEntry> listeners() const;
  [[nodiscard]] std::vector<ServerEntry> servers() const;
  [[nodiscard]] std::vector<LoopEntry> loops() const;

 private:
  mutable std::mutex mutex_;
  std::map<std::pair<int, std::string>, std::unique_ptr<ListenerMetrics>> listeners_;
  std::map<std::tuple<int, std::string, std::string>, std::unique_ptr<ServerMetrics>> servers_;
  std::map<int, std::unique_ptr<LoopMetrics>> loops_;
};

}  // namespace headgate
