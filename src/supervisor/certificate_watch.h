#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/units.h"
#include "log/log.h"
#include "metrics/process_state.h"
#include "snapshot/snapshot.h"

namespace headgate {

/// Looks at the certificates in force as time goes by. It says once in the log that less than `warn_before`
/// of a certificate's life is left, and that a certificate has expired; it counts these and the refused files
/// for the metrics; it finds a name of the configuration that no valid certificate serves; and it has files
/// read again that were refused because their certificate was not valid yet.
///
/// The looks are further apart the more certificates there are, from a second to a minute. Supervisor's
/// thread.
class CertificateWatch {
 public:
  using ReadAgain = std::function<void(const std::vector<std::string>& files)>;
  /// Log and board outlive it.
  CertificateWatch(Log& log, StateBoard& board, ReadAgain read_again)
      : log_(log), board_(board), read_again_(std::move(read_again)) {}

  /// Looks at the certificates of `snapshot` from now on.
  void follow(std::shared_ptr<const Snapshot> snapshot, WallTime now);
  /// Looks when it is time to.
  void step(WallTime now);

 private:
  /// The times after one look and up to the next one, this one.
  struct Span {
    WallTime after{}, until{};
    [[nodiscard]] bool has(WallTime time) const { return after < time && time <= until; }
  };
  /// The results of one look.
  struct Findings;
  void look(WallTime now);
  void look_at(const ListenerPolicy& listener, Span span, Findings& findings) const;
  void say(const Findings& findings) const;

  Log& log_;
  StateBoard& board_;
  ReadAgain read_again_;
  std::shared_ptr<const Snapshot> snapshot_;
  std::optional<WallTime> looked_;
  WallTime next_{};
};

}  // namespace headgate
