#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/units.h"
#include "log/log.h"
#include "metrics/process_state.h"
#include "snapshot/snapshot.h"

namespace headgate {

/// Evaluates the comparisons of changed certificates with the ones before them, and reports each result in
/// log, metrics and state. Supervisor's thread.
class Canaries {
 public:
  /// Both outlive it.
  Canaries(Log& log, StateBoard& board) : log_(log), board_(board) {}

  /// Begins the comparisons of `snapshot`, which is now in force, and ends those that it no longer asks for.
  void follow(const Snapshot& snapshot);
  /// Evaluates all comparisons. Returns whether one has ended, so that clients get another certificate from
  /// now on.
  [[nodiscard]] bool step(TimePoint now, WallTime wall_now);

 private:
  struct One {
    std::string listener, file;
    std::shared_ptr<CertificateCanary> canary;
    bool operator==(const One&) const = default;
  };
  [[nodiscard]] static std::vector<One> all_of(const Snapshot& snapshot);
  [[nodiscard]] bool settle(const One& one, TimePoint now, WallTime wall_now);
  void say(const One& one, std::string_view result, LogLevel level, std::string_view message,
           std::string_view why);
  void publish();

  Log& log_;
  StateBoard& board_;
  std::vector<One> all_;
};

}  // namespace headgate
