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

/// Another log level for the connections of one listener or one source, for a while.
struct LogOverride {
  std::string listener{};  ///< By name...
  std::optional<Network>
      source{};  ///< ...or this. Neither: all lines of the process, which no connection asks for.
  LogLevel level = LogLevel::kInfo;
  TimePoint until = TimePoint::max();

  [[nodiscard]] bool is_about_all() const { return listener.empty() && !source; }
};

/// The overrides as a worker has them. Its thread.
class LogLevels {
 public:
  void set(std::vector<LogOverride> overrides) { overrides_ = std::move(overrides); }
  /// The level of such a connection, where it has one of its own: of those that match, the one with the most
  /// lines. Costs a look at an empty list where there are none.
  [[nodiscard]] std::optional<LogLevel> find(std::string_view listener, const SourceAddress& source,
                                             TimePoint now) const;

 private:
  std::vector<LogOverride> overrides_;
};

}  // namespace headgate
