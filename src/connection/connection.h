#pragma once

#include <cstdint>
#include <memory>

#include "base/cell_pool.h"
#include "base/close_reason.h"
#include "base/crash_tag.h"
#include "connection/phase.h"
#include "connection/services.h"
#include "event/io_watcher.h"
#include "event/timer.h"

namespace headgate {

/// One connection, from accept to close.
///
/// Owned by its worker, which destroys it at the end of the turn in which it was buried. Loop thread only.
/// Every function that may end it is the last thing its caller does: when it returns, the connection may be
/// buried.
class Connection final : public Pooled<Connection> {
 public:
  /// A connection just accepted; `client` is a plain stream.
  Connection(Services& services, std::shared_ptr<WorkerSnapshot> snapshot, ListenerState& listener,
             std::unique_ptr<Stream> client, ConnectionInfo info);
  /// A connection that was in relay in another process.
  Connection(Services& services, std::shared_ptr<WorkerSnapshot> snapshot, ListenerState& listener,
             Sides sides, ConnectionInfo info, Relay relay);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Takes the first step; later also the step for work that no descriptor announces. Not while it rests.
  void resume();
  /// The admission queue says that the step which was asked for may be taken.
  void permit_granted();
  /// The private-key operation that was offloaded is finished; it took `cpu`.
  void operation_finished(Duration cpu);
  /// Sends session tickets that were held back for the first answer.
  void flush_held_back();
  /// Ends it now, whatever it is doing: drain, shutdown of the process, a peer that may no longer be there.
  /// `detail`, where it is not empty, is the sentence for the operator.
  void end(CloseReason reason, std::string_view detail = {});

  [[nodiscard]] const ConnectionInfo& info() const { return info_; }
  [[nodiscard]] const Phase& phase() const { return phase_; }
  [[nodiscard]] const ListenerState& listener() const { return listener_; }
  [[nodiscard]] const WorkerSnapshot& snapshot() const { return *snapshot_; }
  [[nodiscard]] bool is_buried() const { return buried_; }
  [[nodiscard]] CloseReason close_reason() const { return close_reason_; }
  /// What it waits for.
  [[nodiscard]] Wait waiting() const { return waiting_; }
  /// The two streams, for handing a connection in relay over to another process.
  [[nodiscard]] Sides& sides() { return sides_; }
  /// Lets it rest: nothing is read, written or ended, by whatever cause, until wake() or let_go(). In relay
  /// only: its streams may be looked at meanwhile, and go on in another process if this one lets them go.
  void quiesce();
  [[nodiscard]] bool is_quiescent() const { return quiescent_; }
  /// Ends it without touching its streams' peers: they were handed over. Worker only.
  void release();
  /// Goes on after quiesce().
  void wake();

  /// Keeps its place among the listener's connections until it ends.
  void take_place(std::unique_ptr<ListenerPlace> place) { place_ = std::move(place); }

  /// The worker's alone:
  std::uint64_t drain_bytes_told =
      0;                           ///< Of its bytes, those that the drain has counted or that came before.
  std::uint32_t drain_number = 0;  ///< The drain that it is about to end by; 0: none.
  std::uint32_t slot = 0;          ///< Its index in the worker's list of connections.
  bool flush_due = false;          ///< In the worker's list of streams to flush.

  /// Called by the timer; by tests when they have moved the clock.
  void deadline_passed();

 private:
  Connection(Services& services, std::shared_ptr<WorkerSnapshot> snapshot, ListenerState& listener,
             Sides sides, ConnectionInfo info, Phase first);
  static void client_ready(void* self, Interest ready);
  static void backend_ready(void* self, Interest ready);
  static void timer_fired(void* self);

  [[nodiscard]] CrashTag crash_tag() const;
  void drive();
  void enter(Phase next);
  void arm(const Wait& wait);
  void watch_descriptors();
  void finish(CloseReason reason);
  void count_end(CloseReason reason);
  void log_end(CloseReason reason);

  bool quiescent_ = false;
  bool buried_ = false;
  CloseReason close_reason_ = CloseReason::kFinished;
  Ready ready_;
  Wait waiting_;
  Services& services_;
  std::shared_ptr<WorkerSnapshot> snapshot_;
  ListenerState& listener_;
  std::unique_ptr<ListenerPlace> place_;  // where the listener has limits
  ConnectionInfo info_;
  Sides sides_;  // these two before the watchers: watching ends before a descriptor is closed
  Phase phase_;
  IoWatcher client_watcher_, backend_watcher_;
  Timer timer_;
  TimePoint entered_;
};

}  // namespace headgate
