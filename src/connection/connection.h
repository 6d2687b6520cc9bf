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
/// Its worker owns it, and destroys it at the end of the turn in which it was buried. Loop thread only. A
/// caller calls a function that may end the connection as its last act: when the function returns, the
/// connection may be buried.
class Connection final : public Pooled<Connection> {
 public:
  /// Makes a connection that was just accepted; `client` is a plain stream.
  Connection(Services& services, std::shared_ptr<WorkerSnapshot> snapshot, ListenerState& listener,
             std::unique_ptr<Stream> client, ConnectionInfo info);
  /// Makes a connection that was in relay in another process.
  Connection(Services& services, std::shared_ptr<WorkerSnapshot> snapshot, ListenerState& listener,
             Sides sides, ConnectionInfo info, Relay relay);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Takes the first step; later also the step for work that no descriptor announces. Not while the
  /// connection is quiescent.
  void resume();
  /// Takes the step for which it was queued by Host::call_in_turn().
  void take_turn();
  /// Stops the watching of the client until the connection takes its turn, which is not in this turn of the
  /// loop. Only while it is queued for that.
  void wait_for_turn() { client_watcher_.watch(Interest::kNone); }
  /// Stops the watching of the backend's descriptor, which is about to be closed: the next one may get its
  /// number, and would not be watched.
  void forget_backend() { backend_watcher_.attach(-1); }
  /// The admission queue calls this when the connection may take the step that it asked for.
  void permit_granted();
  /// The private-key operation that was offloaded is finished; it took `cpu`.
  void operation_finished(Duration cpu);
  /// Sends the session tickets that the connection held back for the first answer.
  void flush_held_back();
  /// Ends it now, whatever it is doing: for a drain, at the end of the process, or for a peer that may no
  /// longer be there. `detail`, where it is not empty, is the sentence for the operator.
  /// The peers are told of it as the table of ends says (ends.h), which may take until timeouts.shutdown; an
  /// end that is under way already goes on, and takes no longer than that.
  void end(CloseReason reason, std::string_view detail = {});
  /// Ends it in order, for a drain that found it at rest. In relay only.
  void end_at_rest(CloseReason reason);
  /// Whether its peers have got everything that was written to them. In relay only.
  [[nodiscard]] bool is_delivered() const;

  [[nodiscard]] const ConnectionInfo& info() const { return info_; }
  [[nodiscard]] const Phase& phase() const { return phase_; }
  [[nodiscard]] const ListenerState& listener() const { return listener_; }
  [[nodiscard]] const WorkerSnapshot& snapshot() const { return *snapshot_; }
  [[nodiscard]] bool is_buried() const { return buried_; }
  [[nodiscard]] CloseReason close_reason() const { return close_reason_; }
  /// The phase in which it waits.
  [[nodiscard]] Wait waiting() const { return waiting_; }
  /// The two streams, where they are still there, for handing a connection in relay over to another process.
  [[nodiscard]] Sides& sides() { return sides_; }
  /// The sockets of the two sides, whatever owns them; -1 for none.
  [[nodiscard]] PhaseDescriptors descriptors() const;
  /// Makes it quiescent: no cause reads, writes or ends it until wake() or release(). In relay only: the
  /// caller may look at its streams meanwhile, and they go on in another process if this one releases them.
  void quiesce();
  [[nodiscard]] bool is_quiescent() const { return quiescent_; }
  /// Ends it and sends its peers nothing: another process has its streams now. Worker only.
  void release();
  /// Goes on after quiesce().
  void wake();

  /// The connection keeps its place among the listener's connections until it ends.
  void take_place(std::unique_ptr<ListenerPlace> place) { place_ = std::move(place); }
  [[nodiscard]] bool has_place() const { return place_ != nullptr; }

  /// Only the worker uses these:
  std::uint64_t drain_bytes_told =
      0;                           ///< Of its bytes, those that the drain has counted or that came before.
  std::uint32_t drain_number = 0;  ///< The drain that it is about to end by; 0: none.
  std::uint32_t slot = 0;          ///< Its index in the worker's list of connections.
  bool flush_due : 1 = false;      ///< In the worker's list of streams to flush.
  bool turn_due : 1 = false;       ///< In the worker's list of newcomers that are ready.
  bool has_no_place : 1 = false;   ///< A limit of the process refused it.

  /// Called by the timer; by tests when they have moved the clock.
  void deadline_passed();

 private:
  Connection(Services& services, std::shared_ptr<WorkerSnapshot> snapshot, ListenerState& listener,
             Sides sides, ConnectionInfo info, Phase first);
  static void client_ready(void* self, Interest ready);
  static void backend_ready(void* self, Interest ready);
  static void timer_fired(void* self);

  [[nodiscard]] CrashTag crash_tag() const;
  [[nodiscard]] bool is_newcomer() const;
  void drive();
  void end_unwatched();
  void take_steps();
  void end_for_lack_of_memory();
  void enter(Phase next);
  void arm(const Wait& wait);
  void watch_descriptors();
  void close_for(CloseReason reason);
  void begin_end(CloseReason reason, EndCause cause);
  void break_off(CloseReason reason, std::string_view detail);
  void finish(CloseReason reason, std::string_view detail = {});
  void count_handshake(CloseReason reason);
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
};

}  // namespace headgate
