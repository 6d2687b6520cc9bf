#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "backend/health_check.h"
#include "backend/server.h"
#include "event/inbox.h"
#include "event/timer.h"
#include "log/log.h"
#include "net/resolver.h"
#include "snapshot/snapshot.h"
#include "supervisor/health_tls.h"
#include "supervisor/lifeline.h"

namespace headgate {

/// Keeps the state of the backends' servers up to date: the addresses of their names, and their health. Each
/// of the two has a thread of its own; this object only tells the threads which servers to watch. Main
/// thread; never waits.
class BackendWatch {
 public:
  struct Options {
    Resolver::Options names{};
    /// How long a caller should wait for names.
    Duration patience = std::chrono::seconds(5);
  };

  /// All outlive it; `loop` and `inbox` are the main thread's. Errors: kInvalid when OpenSSL cannot be set
  /// up.
  [[nodiscard]] static Result<std::unique_ptr<BackendWatch>> make(Loop& loop, Inbox& inbox,
                                                                  ServerDirectory& directory, Log& log,
                                                                  Options options);
  BackendWatch(const BackendWatch&) = delete;
  BackendWatch& operator=(const BackendWatch&) = delete;

  /// Looks after the backends of `snapshot` from now on. `known` is called once, on the loop or before this
  /// call returns: when every name has been looked up once, well or badly, or when the patience is over.
  /// Until then, connections to a backend whose name is new are refused.
  void follow(const std::shared_ptr<const Snapshot>& snapshot, std::function<void()> known);

 private:
  /// A caller that waits for the names.
  struct Waiting {
    TimePoint until{};
    std::function<void()> known;
  };
  BackendWatch(Loop& loop, Inbox& inbox, ServerDirectory& directory, Log& log, Options options,
               std::unique_ptr<HealthTls> health_tls);
  [[nodiscard]] Resolver::Options with_answers_told(Resolver::Options options, Inbox& inbox);
  void look();

  ServerDirectory& directory_;
  Log& log_;
  Duration patience_;
  std::vector<Waiting> waiting_;  // the caller that has waited longest comes first
  Timer patience_timer_;
  Lifeline lifeline_;
  std::unique_ptr<HealthTls> health_tls_;  // used by health_
  HealthChecker health_;
  Resolver resolver_;
};

}  // namespace headgate
