#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "admin/connections_page.h"
#include "connection/flight_recorder.h"
#include "metrics/history.h"
#include "metrics/metrics.h"
#include "metrics/status_report.h"
#include "supervisor/requests.h"

namespace headgate {

/// The flight recorders of all workers together.
struct RecordedHandshakes {
  std::vector<RecordedHandshake> failed{};   ///< The last ones, newest first.
  std::vector<RecordedHandshake> slowest{};  ///< The slowest of the last minutes, slowest first.
};

/// The source of all answers of the admin endpoint. AdminAnswers implements it, and in tests a fake does.
///
/// Called from the admin server's threads, several at a time: every function is safe for that, may wait for
/// the workers or the supervisor for a bounded time, and throws nothing. Answers hold no secrets.
class AdminSource {
 public:
  virtual ~AdminSource() = default;
  /// The names of admin.names, as in force.
  [[nodiscard]] virtual std::vector<std::string> names() = 0;
  /// Whether `token` opens the endpoint: where the configuration has none, every one does, also "".
  [[nodiscard]] virtual bool admits(std::string_view token) = 0;
  /// Prometheus text of the metrics `wanted`.
  [[nodiscard]] virtual std::string metrics_text(const MetricSet& wanted) = 0;
  /// Alive means that the loops of all workers turn.
  [[nodiscard]] virtual Health healthz() = 0;
  /// Ready means that the process listens and does not drain.
  [[nodiscard]] virtual Health readyz() = 0;
  [[nodiscard]] virtual StatusReport status() = 0;
  [[nodiscard]] virtual ConnectionsPage connections(const ConnectionsQuery& query) = 0;
  [[nodiscard]] virtual RecordedHandshakes handshakes() = 0;
  /// As History::steps().
  [[nodiscard]] virtual std::optional<std::vector<HistoryStep>> history(const std::string& listener) = 0;
  /// Reloads and waits for the outcome.
  [[nodiscard]] virtual Outcome reload() = 0;
  /// Starts to drain; does not wait for the end.
  [[nodiscard]] virtual Outcome drain(const DrainRequest& request) = 0;
  [[nodiscard]] virtual Outcome set_log_level(const LogLevelRequest& request) = 0;
};

}  // namespace headgate
