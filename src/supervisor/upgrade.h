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
  /// The objects that it works on. All outlive it.
  struct Parts {
    Inbox& inbox;  ///< The main thread's.
    Log& log;
    StateBoard& board;
    MetricsRegistry& registry;
    ListeningSockets& sockets;
    Workers& workers;
  };
  /// The admin endpoint: the old process closes it before the new one opens it, and opens it again if the new
  /// one fails. Called on the upgrade's thread.
  struct AdminDoor {
    std::function<void()> close = [] {};
    std::function<void()> open = [] {};
  };
  /// Says why the process may not hand over now.
  struct Refusal {
    std::string why;
    std::string certificate{};  ///< The file of the certificate that prevents the hand-over, where one does.
  };
  /// The questions to the process around it.
  struct Site {
    std::string program{};  ///< For the log.
    /// Starts the new process with its end of the conversation. On the upgrade's thread.
    std::function<Result<pid_t>(int socket)> start;
    /// Returns nothing where the process may hand over.
    std::function<std::optional<Refusal>()> refusal = [] { return std::nullopt; };
    /// False when the process has begun to end meanwhile. Any thread.
    std::function<bool()> still_wanted = [] { return true; };
    /// Says that the new process serves and this one has to go.
    std::function<void()> handed_over = [] {};
  };

  /// `predecessor` is nullptr where no process was before.
  Upgrade(Parts parts, Site site, std::unique_ptr<Predecessor> predecessor)
      : parts_(parts), site_(std::move(site)), predecessor_(std::move(predecessor)) {}
  Upgrade(const Upgrade&) = delete;
  Upgrade& operator=(const Upgrade&) = delete;

  // Calls of the new process. They block, for a bounded time: it serves no client yet.

  [[nodiscard]] bool has_predecessor() const { return predecessor_ != nullptr; }
  /// Returns the listening sockets of the process before, or of systemd. Errors: those of Predecessor and
  /// systemd.
  [[nodiscard]] Result<std::vector<systemd::ActivatedSocket>> inherited_sockets();
  /// Takes the connections that `snapshot` can serve. The workers have the snapshot and have not started.
  /// Errors: those of Predecessor; the process must end then.
  [[nodiscard]] Result<void> inherit(const Snapshot& snapshot);
  /// Starts the workers with the connections of the process before. Errors: kSystem; that process then keeps
  /// all connections, and this one must end.
  [[nodiscard]] Result<void> take_over();
  /// Tells the process before, if any, why this one ends.
  void refuse(const std::string& why);

  // Calls of the old process.

  /// Starts the new process and hands all connections over to it. The log tells how that ends.
  void begin();
  [[nodiscard]] bool is_under_way() const { return successor_ != nullptr; }
  /// Ends the upgrade under way, as a failure, and waits for its end.
  void cancel() { successor_.reset(); }
  /// Call before begin().
  void set_admin_door(AdminDoor door) { admin_door_ = std::move(door); }

 private:
  [[nodiscard]] Successor::Site site_of_successor() const;
  void ended(const Successor::Outcome& outcome);

  Parts parts_;
  Site site_;
  AdminDoor admin_door_;
  std::unique_ptr<Predecessor> predecessor_;
  Lifeline lifeline_;
  std::unique_ptr<Successor> successor_;  // last: it asks all other members
};

}  // namespace headgate
