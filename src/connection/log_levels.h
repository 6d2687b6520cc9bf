#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/units.h"
#include "log/line.h"
#include "net/address.h"
#include "net/source_address.h"

namespace headgate {

/// A log level of their own, for a while, for the connections of one listener or one source.
struct LogOverride {
  std::string listener{};  ///< By name...
  std::optional<Network>
      source{};  ///< ...or this. Neither: all lines of the process, which no connection asks for.
  LogLevel level = LogLevel::kInfo;
  TimePoint until = TimePoint::max();

  [[nodiscard]] bool is_about_all() const { return listener.empty() && !source; }
};

/// The overrides as a worker has them. Only the worker's thread uses them.
class LogLevels {
 public:
  void set(std::vector<LogOverride> overrides) { overrides_ = std::move(overrides); }
  /// Returns the level of such a connection, where it has one of its own: among the overrides that match, the
  /// one that logs the most lines. Where no override holds, this costs a look at an empty list.
  [[nodiscard]] std::optional<LogLevel> find(std::string_view listener, const SourceAddress& source,
                                             TimePoint now) const;

 private:
  std::vector<LogOverride> overrides_;
};

}  // namespace headgate
