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

/// What `POST /log` asks for: the level of the process, and of single listeners and sources for a while.
/// Supervisor's thread.
class LogControl {
 public:
  /// For how long a level holds where nothing else is said, and how many may hold at once.
  static constexpr Duration kDefaultTime = std::chrono::minutes(10);
  static constexpr std::size_t kMost = 32;

  /// `publish` gives the overrides to every worker; called whenever they change.
  LogControl(Log& log, std::function<void(const std::vector<LogOverride>&)> publish)
      : log_(log), publish_(std::move(publish)) {}

  /// `of_process` is what holds where nobody asked for another: the configuration's.
  void configure(LogLevel of_process);
  [[nodiscard]] Outcome ask(const LogLevelRequest& request);
  /// Ends what is over.
  void step(TimePoint now);

  [[nodiscard]] const std::vector<LogOverride>& overrides() const { return overrides_; }
  /// As /status.json shows them.
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
