#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/units.h"
#include "connection/flight_recorder.h"
#include "log/line.h"
#include "metrics/metrics.h"
#include "metrics/reports.h"
#include "metrics/status_report.h"

namespace headgate {

/// Whether the process is well or ready; `reason` is a sentence when it is not.
struct Health {
  bool ok = true;
  std::string reason{};
};

/// What became of something the operator asked for.
struct Outcome {
  enum class Verdict {
    kDone,
    kNotFound,  ///< What it names is not there.
    kRefused,   ///< Not now: `message` says why.
    kFailed,    ///< Tried, and nothing was changed: `faults` says why.
  };
  Verdict verdict = Verdict::kDone;
  std::string message{};              ///< One sentence.
  std::vector<std::string> faults{};  ///< Of a reload, one a line: "file:line:column: key: ...".
};

/// What to drain. Nothing set: the process, as on SIGTERM. At most one of the names is set.
struct DrainRequest {
  std::string listener{}, backend{};
  std::string peer{};              ///< An identity as the log shows it.
  std::optional<Duration> time{};  ///< Until the rest is cut; nothing: `drain.deadline` of the configuration.
};

/// Which lines to log from now on. Neither `listener` nor `source` set: all. At most one of them is set.
struct LogLevelRequest {
  std::optional<LogLevel> level{};  ///< Nothing: as the configuration has it again.
  std::string listener{};
  std::string source{};            ///< A network or address.
  std::optional<Duration> time{};  ///< Until it is over by itself; nothing: LogControl says.
};

/// The flight recorders of all workers together.
struct RecordedHandshakes {
  std::vector<RecordedHandshake> failed{};   ///< The last ones, newest first.
  std::vector<RecordedHandshake> slowest{};  ///< Of the last minutes, slowest first.
};

/// What the admin endpoint shows and asks for. The supervisor implements it.
///
/// Called from the admin server's threads, several at a time: every function is safe for that, may wait for
/// the workers or the supervisor for a bounded time, and throws nothing. Answers hold no secrets.
class AdminSource {
 public:
  virtual ~AdminSource() = default;
  /// Prometheus text of the metrics `wanted`.
  [[nodiscard]] virtual std::string metrics_text(const MetricSet& wanted) = 0;
  /// Alive: the loops of all workers turn.
  [[nodiscard]] virtual Health healthz() = 0;
  /// Listening and not draining.
  [[nodiscard]] virtual Health readyz() = 0;
  [[nodiscard]] virtual StatusReport status() = 0;
  [[nodiscard]] virtual ConnectionsPage connections(const ConnectionsQuery& query) = 0;
  [[nodiscard]] virtual RecordedHandshakes handshakes() = 0;
  /// Reloads and waits for the outcome.
  [[nodiscard]] virtual Outcome reload() = 0;
  /// Starts to drain; does not wait for the end.
  [[nodiscard]] virtual Outcome drain(const DrainRequest& request) = 0;
  [[nodiscard]] virtual Outcome set_log_level(const LogLevelRequest& request) = 0;
};

}  // namespace headgate
