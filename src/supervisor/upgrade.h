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
#include "supervisor/sandbox_layers.h"
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
  /// The admin endpoint: the old process closes it before the new one serves it, and opens it again if the
  /// new one fails. Both have its sockets meanwhile, in which clients wait.
  struct AdminDoor {
    /// Duplicates of its sockets, empty where the endpoint is off. On the main thread.
    std::function<ListeningSockets::AdminSockets()> held = [] { return ListeningSockets::AdminSockets{}; };
    /// On the upgrade's thread.
    std::function<void()> close = [] {};
    /// With the sockets. On the upgrade's thread.
    std::function<void(ListeningSockets::AdminSockets)> open = [](const ListeningSockets::AdminSockets&) {};
  };
  /// Says why the process may not hand over now.
  struct Refusal {
    std::string why;
  };
  /// The questions to the process around it.
  struct Site {
    std::string program{};  ///< For the log.
    /// Starts the new process with its end of the conversation. On the upgrade's thread.
    std::function<Result<pid_t>(int socket)> start;
    /// Returns the layers of the sandbox, which the new process inherits.
    std::function<SandboxLayers()> layers = [] { return SandboxLayers(); };
    /// Returns nothing where the process may hand over.
    std::function<std::optional<Refusal>()> refusal = [] { return std::nullopt; };
    /// The certificates to hand over.
    std::function<std::vector<HandoverCertificate>()> certificates = [] {
      return std::vector<HandoverCertificate>();
    };
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
  /// Returns the listening sockets of the process before, with its certificates, or the sockets of systemd.
  /// Errors: those of Predecessor and systemd.
  [[nodiscard]] Result<Predecessor::Inheritance> inherited_sockets();
  /// Returns the layers of the sandbox in which the process before runs, and so this one too. After
  /// inherited_sockets().
  [[nodiscard]] SandboxLayers inherited_layers() const {
    return predecessor_ ? predecessor_->layers() : SandboxLayers();
  }
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
