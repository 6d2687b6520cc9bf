#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "event/inbox.h"
#include "log/log.h"
#include "metrics/process_state.h"
#include "snapshot/snapshot.h"
#include "supervisor/lifeline.h"
#include "supervisor/listening_sockets.h"
#include "supervisor/predecessor.h"
#include "supervisor/successor.h"
#include "supervisor/systemd.h"
#include "supervisor/workers.h"

namespace headgate {

/// Both sides of the hand-over from one process to the next, as a process sees them.
///
/// A process that was started by an upgrade has a predecessor, and takes over before it does anything else:
///
///     inherited_sockets();  // then everything is loaded, while the predecessor serves
///     inherit(snapshot);    // the live connections wait in the workers' inboxes
///     take_over();          // they go on here, or the predecessor keeps them
///
/// A process that serves hands over to a successor: begin(), which returns at once. Main thread.
class Upgrade {
 public:
  /// What it works on. All outlive it.
  struct Parts {
    Inbox& inbox;  ///< The main thread's.
    Log& log;
    StateBoard& board;
    MetricsRegistry& registry;
    ListeningSockets& sockets;
    Workers& workers;
  };
  /// The admin endpoint: the old process closes it before the new one opens it, and opens it again if that
  /// one fails. Called on the upgrade's thread.
  struct AdminDoor {
    std::function<void()> close = [] {};
    std::function<void()> open = [] {};
  };
  /// Why nothing may be handed over now.
  struct Refusal {
    std::string why;
    std::string certificate{};  ///< The file of the one that stands against it, where one does.
  };
  /// What it asks of the process it is in.
  struct Site {
    std::string program{};  ///< For the log.
    /// Starts the new process with its end of the conversation. On the upgrade's thread.
    std::function<Result<pid_t>(int socket)> start;
    /// Nothing: it may be handed over.
    std::function<std::optional<Refusal>()> refusal = [] { return std::nullopt; };
    /// Not when the process has begun to end meanwhile. Any thread.
    std::function<bool()> still_wanted = [] { return true; };
    /// The new process serves; this one has to go.
    std::function<void()> handed_over = [] {};
  };

  /// `predecessor` is nullptr where no process was before.
  Upgrade(Parts parts, Site site, std::unique_ptr<Predecessor> predecessor)
      : parts_(parts), site_(std::move(site)), predecessor_(std::move(predecessor)) {}
  Upgrade(const Upgrade&) = delete;
  Upgrade& operator=(const Upgrade&) = delete;

  // The new process. It blocks, for a bounded time: it serves nobody yet.

  [[nodiscard]] bool has_predecessor() const { return predecessor_ != nullptr; }
  /// The listening sockets of the process before, or of systemd. Errors: as Predecessor and systemd have
  /// them.
  [[nodiscard]] Result<std::vector<systemd::ActivatedSocket>> inherited_sockets();
  /// Takes the connections that can be served by `snapshot`, which the workers have and with which they have
  /// not started. Errors: as Predecessor has them; the process must end then.
  [[nodiscard]] Result<void> inherit(const Snapshot& snapshot);
  /// Starts the workers with what the process before held. Errors: kSystem; that process keeps everything
  /// then, and this one must end.
  [[nodiscard]] Result<void> take_over();
  /// Tells the process before, if there is one, why this one ends.
  void refuse(const std::string& why);

  // The old process.

  /// Starts the new process and hands everything over to it. The log tells how that ends.
  void begin();
  [[nodiscard]] bool is_under_way() const { return successor_ != nullptr; }
  /// Ends what is under way, as a failure, and waits for that.
  void cancel() { successor_.reset(); }
  /// Before begin().
  void set_admin_door(AdminDoor door) { admin_door_ = std::move(door); }

 private:
  [[nodiscard]] Successor::Site site_of_successor() const;
  void ended(const Successor::Outcome& outcome);

  Parts parts_;
  Site site_;
  AdminDoor admin_door_;
  std::unique_ptr<Predecessor> predecessor_;
  Lifeline lifeline_;
  std::unique_ptr<Successor> successor_;  // last: it asks all the others
};

}  // namespace headgate
