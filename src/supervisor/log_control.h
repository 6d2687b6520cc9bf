#pragma once

#include <chrono>
#include <functional>
#include <utility>
#include <vector>

#include "connection/log_levels.h"
#include "log/log.h"
#include "metrics/process_state.h"
#include "supervisor/requests.h"

namespace headgate {

/// Carries out `POST /log`: sets the level of the process, and of single listeners and sources for a while.
/// Supervisor's thread.
class LogControl {
 public:
  /// How long a level holds when the request does not say, and how many levels may hold at once.
  static constexpr Duration kDefaultTime = std::chrono::minutes(10);
  static constexpr std::size_t kMost = 32;

  /// `publish` gives the overrides to every worker; it is called whenever they change.
  LogControl(Log& log, std::function<void(const std::vector<LogOverride>&)> publish)
      : log_(log), publish_(std::move(publish)) {}

  /// `of_process` is the level of the configuration, which holds where no request asked for another.
  void configure(LogLevel of_process);
  [[nodiscard]] Outcome ask(const LogLevelRequest& request);
  /// Ends the levels whose time is over.
  void step(TimePoint now);

  [[nodiscard]] const std::vector<LogOverride>& overrides() const { return overrides_; }
  /// The levels as /status.json shows them.
  [[nodiscard]] std::vector<LogOverrideReport> reports() const;

 private:
  [[nodiscard]] Outcome reset(const LogOverride& about);
  void end(const LogOverride& over);

  Log& log_;
  std::function<void(const std::vector<LogOverride>&)> publish_;
  LogLevel configured_ = LogLevel::kInfo;
  std::vector<LogOverride> overrides_;
};

}  // namespace headgate
