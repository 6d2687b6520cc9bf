#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/units.h"
#include "log/line.h"

/// What an operator asks of the process, and what becomes of it: plain values.
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

}  // namespace headgate
