#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backend/group.h"
#include "backend/probe.h"
#include "base/result.h"

namespace headgate {

/// A server that came up or went down. `why` is empty for one that came up.
struct HealthChange {
  std::shared_ptr<ServerState> server;
  bool up = false;
  std::string why;
};

/// Checks the servers of all backends that have a `health_check` and keeps ServerState::is_up() up to date.
/// Each check's time varies a little around its interval, so that checks spread. A server with several
/// addresses is well when any of them is; a server whose name has not been resolved is not checked. One
/// thread of its own, started when there is something to check.
class HealthChecker {
 public:
  struct Options {
    OpenTls open_tls;  ///< For `type: tls`.
    /// Called on the checker's thread at every change. Must not call back into the checker.
    std::function<void(const HealthChange&)> on_change;
    std::uint64_t seed = 0;  ///< Of what spreads the checks.
  };

  explicit HealthChecker(Options options);
  ~HealthChecker();
  HealthChecker(const HealthChecker&) = delete;
  HealthChecker& operator=(const HealthChecker&) = delete;

  /// From now on checks the servers of `groups`. A server that was checked before keeps its health. Servers
  /// that are no longer checked count as up. One caller at a time. Errors: kSystem when the thread cannot be
  /// started.
  Result<void> watch(std::vector<std::shared_ptr<const BackendGroup>> groups);

 private:
  class Checks;
  std::unique_ptr<Checks> checks_;
};

}  // namespace headgate
