#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/units.h"

/// The state that the supervisor knows and the admin endpoint shows: plain values for /metrics and
/// /status.json. No secrets.
namespace headgate {

struct CertificateReport {
  std::string file{};                ///< The certificate's path, the `certificate` label.
  std::vector<std::string> names{};  ///< DNS names and addresses; the first is the `name` label.
  std::string listener{};            ///< The first listener that serves it.
  std::string key_type{};            ///< "P-256", "RSA-2048".
  std::string issuer{};
  WallTime not_before{}, not_after{};
  WallTime expires_soon_from{};  ///< From then on less than `warn_before` of its life is left.
  std::string fault{};           ///< Why a newer file of it is refused; empty: no newer file is refused.
};

/// A changed certificate and the one before it, while some handshakes get the changed one, and when that was
/// found worse.
struct CanaryReport {
  struct Group {
    std::uint64_t ok = 0, failed = 0;
  };
  std::string listener{};
  std::string file{};
  bool went_back = false;  ///< Otherwise it is compared now.
  int percent = 0;         ///< Share of the handshakes that get the new one.
  WallTime started{};
  Group with_new{}, with_old{};                  ///< Handshakes.
  Group sources_with_new{}, sources_with_old{};  ///< Sources, by their votes: see CanarySources.
};
/// Certificates of a listener.
struct CertificateCounts {
  std::uint64_t expiring = 0;  ///< Less than `warn_before` of their life is left.
  std::uint64_t refused = 0;   ///< Files whose contents are refused.
};
/// An event of a comparison of a listener's file.
struct CanaryEnd {
  std::string listener, file;
  std::string result;  ///< "started", "went_on", "went_back", "superseded".
  auto operator<=>(const CanaryEnd&) const = default;
};
/// The certificates in force. Immutable; any thread.
class CertificateList {
 public:
  /// One certificate of the list. Both views hold as long as the list.
  struct Item {
    WallTime not_after{};
    std::string_view file{};
    const void* what = nullptr;  ///< Only the list itself uses it.
    std::size_t listener = 0;    ///< Only the list itself uses it.
  };

  virtual ~CertificateList() = default;
  [[nodiscard]] virtual std::size_t size() const = 0;
  /// The certificates, in no particular order.
  [[nodiscard]] virtual std::vector<Item> items() const = 0;
  [[nodiscard]] virtual CertificateReport report(const Item& item) const = 0;
};

struct ListenerReport {
  std::string name{};
  std::vector<std::string> bind{};  ///< As bound, with real ports.
  std::string tls{};                ///< "1.2-1.3", "plain".
  std::string backend{};            ///< The default backend; empty: none.
  bool draining = false;            ///< It accepts no more, until the next reload.
  bool keylog = false;
  /// The time after which another ticket key comes into use, counted from the start of the epoch. Nothing:
  /// tickets are off.
  std::optional<std::chrono::seconds> ticket_keys_for{};
  std::chrono::system_clock::time_point ticket_secret_since{};  ///< When this process had the secret first.
};

struct ServerReport {
  std::string address{};  ///< The `server` label.
  bool up = true;
  std::string reason{};  ///< Why it is down by its health check, or that a worker passes it over.
  WallTime since{};      ///< Of `up`.
  double share = 1;      ///< The part of its weight that it gets, by the health checks: less in a slow start.
  /// The time since the health checks found it up again. Nothing: they have not found it down before.
  std::optional<std::chrono::milliseconds> back_for{};
  std::uint32_t weight = 1;
};

struct BackendReport {
  std::string name{};
  std::string balance{};
  std::vector<ServerReport> servers{};
};

struct WorkerReport {
  int worker = 0;
  double busy_ratio = 0;  ///< Of the time since the supervisor looked last, 0 to 1.
};

struct ReloadReport {
  /// All zero until the first reload; the start does not count. `partly`: files were refused, and what they
  /// held before stays in use.
  std::uint64_t ok = 0, partly = 0, failed = 0;
  std::string last_result = "ok";          ///< "ok", "partly" or "failed".
  WallTime last_success{};                 ///< The start counts as one.
  std::optional<WallTime> last_attempt{};  ///< Of a reload.
  std::vector<std::string> faults{};       ///< Of the last attempt; empty: it succeeded.
  std::vector<std::string> for_restart{};  ///< Keys of the configuration in force that wait for a restart.
  std::map<std::string, std::uint64_t>
      file_faults{};  ///< Of all reloads and the start, by the names of the faults.
  std::uint64_t config_hash = 0;
};

struct DrainReport {
  std::string what{};  ///< "process", "listener web", "backend app", "peer spiffe://...".
  WallTime started{}, deadline{};
  std::uint64_t at_start = 0, remaining = 0;  ///< Connections.
  std::chrono::milliseconds oldest{0};        ///< Age of the oldest that remains.
  std::uint64_t bytes = 0;                    ///< Bytes that its connections have moved since `started`.
};

/// A log level that holds for a while, for a part or for all lines.
struct LogOverrideReport {
  std::string of{};  ///< "listener web", "source 192.0.2.0/24", "all lines".
  std::string level{};
  std::chrono::milliseconds left{0};
};

struct ProcessState {
  std::string version{};  ///< Headgate's.
  std::string openssl{};  ///< The library's, at run time.
  std::string config_file{};
  WallTime started{};
  std::vector<std::string> admin_names{};  ///< The admin endpoint's own, beside its address.
  std::vector<ListenerReport> listeners{};
  std::vector<BackendReport> backends{};
  std::vector<WorkerReport> workers{};
  /// A report is made when a request asks, so that 100,000 certificates cost a reload nothing. nullptr: the
  /// process has none.
  std::shared_ptr<const CertificateList> certificates{};
  std::vector<CanaryReport> canaries{};
  std::map<CanaryEnd, std::uint64_t> canary_ends{};               ///< The number of each end since the start.
  std::map<std::string, CertificateCounts> certificate_counts{};  ///< By listener.
  /// Which name of the configuration has no valid certificate, as a sentence; empty: each has one.
  std::string unserved_name{};
  bool ready_needs_every_name = false;
  ReloadReport reload{};
  bool draining = false;                      ///< True while the process drains.
  std::optional<WallTime> accepting_until{};  ///< Until when the process accepts before its drain.
  std::vector<DrainReport>
      drains{};                     ///< The drains under way, of the process and of parts, the oldest first.
  std::uint64_t drained_bytes = 0;  ///< Moved by connections while they drained, in all.
  std::map<std::pair<std::string, std::string>, std::uint64_t>
      handover;  ///< By result ("moved", "left") and reason.
  std::uint64_t handovers_ok = 0, handovers_failed = 0;
  std::uint64_t log_lines_dropped = 0;
  std::string log_level{};
  std::vector<LogOverrideReport> log_overrides{};
};

/// The certificates that have series of their own and a place in /status.json: those that expire first.
inline constexpr std::size_t kShownCertificates = 1000;
/// Returns at most `limit` certificates of `state`, in the order in which they expire.
[[nodiscard]] std::vector<CertificateReport> soonest_expiring(const ProcessState& state,
                                                              std::size_t limit = kShownCertificates);
/// The number of all certificates.
[[nodiscard]] std::size_t certificates_held(const ProcessState& state);

/// The state, which the supervisor keeps and admin threads copy. Any thread; the lock is held as long as a
/// copy takes.
class StateBoard {
 public:
  template <class Change>
  void update(Change&& change) {
    const std::lock_guard lock(mutex_);
    std::forward<Change>(change)(state_);
  }
  template <class Read>
  [[nodiscard]] auto read(Read&& read) const {
    const std::lock_guard lock(mutex_);
    return std::forward<Read>(read)(state_);
  }
  [[nodiscard]] ProcessState copy() const {
    const std::lock_guard lock(mutex_);
    return state_;
  }

 private:
  mutable std::mutex mutex_;
  ProcessState state_{};
};

}  // namespace headgate
