#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/units.h"
#include "log/line.h"

/// The requests of an operator to the process, and their outcomes: plain values.
namespace headgate {

/// Whether the process is well or ready; `reason` is a sentence when it is not.
struct Health {
  bool ok = true;
  std::string reason{};
};

/// The outcome of a request.
struct Outcome {
  enum class Verdict {
    kDone,
    kNotFound,  ///< The named object does not exist.
    kRefused,   ///< Not possible now: `message` says why.
    kUnderWay,  ///< Begun or accepted; `message` says what comes next. The outcome is not known yet.
    kPartly,    ///< Done, except for the files that `faults` names: what they held before stays in use.
    kFailed,    ///< The attempt failed and changed nothing: `faults` says why.
  };
  Verdict verdict = Verdict::kDone;
  std::string message{};              ///< One sentence.
  std::vector<std::string> faults{};  ///< Of a reload, one a line: "file:line:column: key: ...".
};

/// Says what to drain. If no name is set: the process, as on SIGTERM. At most one of the names is set.
struct DrainRequest {
  std::string listener{}, backend{};
  std::string peer{};              ///< An identity as the log shows it.
  std::optional<Duration> time{};  ///< Time until the remaining connections are cut; nothing:
                                   ///< `drain.deadline` of the configuration.
};

/// Says which lines to log from now on. If neither `listener` nor `source` is set: all. At most one of them
/// is set.
struct LogLevelRequest {
  std::optional<LogLevel> level{};  ///< Nothing: the level of the configuration again.
  std::string listener{};
  std::string source{};            ///< A network or address.
  std::optional<Duration> time{};  ///< Time until the level ends by itself; nothing: LogControl's default.
};

}  // namespace headgate
