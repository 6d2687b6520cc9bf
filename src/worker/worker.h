#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/cpu_set.h"
#include "connection/connection.h"
#include "connection/services.h"
#include "event/inbox.h"
#include "event/loop.h"
#include "event/turn_watcher.h"
#include "log/failure_limiter.h"
#include "snapshot/worker_snapshot.h"
#include "worker/acceptor.h"
#include "worker/admission.h"
#include "worker/crypto_offload.h"
#include "worker/draining.h"
#include "worker/newcomers.h"
#include "worker/openssl_handshakes.h"
#include "worker/peer_watch.h"
#include "worker/spare_connections.h"
#include "worker/tcp_sampler.h"
#include "worker/turn_shares.h"

namespace headgate {

/// A listening socket, with its listener and its bind.
struct BoundSocket {
  std::string listener;
  std::string bind;  ///< The address as configured: with the listener's name it identifies the bind.
  Fd socket;
};

/// One core: a thread with its loop, its listening sockets, its connections, its OpenSSL context, its
/// counters. It is written as if it were a process: it shares no object that is written, and the inbox brings
/// it every message.
///
/// The supervisor's thread makes and destroys it; the functions marked so run on the worker's own thread.
class Worker final : public Host, private OffloadRoom {
 public:
  struct Options {
    int index = 0;
    config::AccessLog access = config::AccessLog::kFailures;
  };

  /// `log` and `registry` outlive it. Errors: kInvalid when OpenSSL cannot be set up; kSystem when
  /// descriptors have run out.
  [[nodiscard]] static Result<std::unique_ptr<Worker>> make(const Options& options, Log& log,
                                                            MetricsRegistry& registry);
  /// Ends the thread, and cuts the connections that are left.
  ~Worker() override;

  /// Starts the thread. Errors: kSystem.
  [[nodiscard]] Result<void> start();
  /// Runs `work` on the worker's thread. Any thread.
  void post(std::function<void()> work) { inbox_.post(std::move(work)); }
  /// Ends the loop and waits for the thread. Supervisor.
  void stop();

  /// When the loop last answered a ping() of the supervisor: a loop that hangs does not answer. Any thread.
  [[nodiscard]] TimePoint last_answer() const {
    return TimePoint(Duration(answered_.load(std::memory_order_relaxed)));
  }
  void ping();
  /// Whether it has no connection and accepts none, as of its last turn. Any thread.
  [[nodiscard]] bool is_empty() const { return empty_.load(std::memory_order_relaxed); }

  /// The library contexts with which a WorkerSnapshot is prepared: that of the loop, and that of the other
  /// thread, which is made by the first call. Supervisor.
  [[nodiscard]] const LibraryContext& library() const { return *library_; }
  [[nodiscard]] Result<std::shared_ptr<const LibraryContext>> offload_library();
  [[nodiscard]] int index() const { return options_.index; }

  // On the worker's thread:

  /// Takes over a snapshot; new connections begin with it.
  void adopt(std::shared_ptr<WorkerSnapshot> snapshot, config::AccessLog access);
  /// Binds the thread to `cpu`, or frees it from the CPU to which it was bound where there is none: then it
  /// runs on any of `all`, the CPUs of all workers. So does the crypto offload thread in any case: a
  /// signature need not wait for this loop's CPU.
  void run_on(std::optional<std::size_t> cpu, const CpuSet& all);
  /// Which connections have a log level of their own. Looks at no connection: each finds its level in this
  /// list, which log_control.h keeps short, when it writes a line.
  void set_log_levels(std::vector<LogOverride> overrides) { services_.levels.set(std::move(overrides)); }
  /// Begins to accept. The listener is found in the snapshot by name.
  void listen(BoundSocket socket);
  /// A listener and its bind.
  using Place = std::pair<std::string, std::string>;
  /// Accepts the clients that wait at the sockets of `gone`, which are about to be closed for good, by the
  /// snapshot in force: that which follows may not have their listener.
  void accept_last(const std::vector<Place>& gone);
  /// Stops accepting on the sockets of `close`, then begins on those of `open`.
  void change_sockets(const std::vector<Place>& close, std::vector<BoundSocket> open);
  /// The clients that wait at a socket when its worker stops accepting: it accepts them, as accept_last()
  /// does, or leaves them to those that have the socket too. Where nobody has it, the kernel resets them.
  enum class Waiting : std::uint8_t { kAccept, kLeave };
  /// Stops accepting on all sockets of one listener, or of all where `listener` is empty.
  void stop_accepting(const std::string& listener, Waiting waiting);
  /// Ends every connection with `reason`, all in one turn of the loop. So it is for the end of the process
  /// alone: nobody is left to wait for the loop but those that are ended.
  void end_all(CloseReason reason);
  /// The same for the cut that ends the process. `done` is called when the peers have been told, kLastWords
  /// later at most.
  static constexpr Duration kLastWords = std::chrono::seconds(1);
  void cut_all(std::function<void()> done);
  [[nodiscard]] const std::vector<std::unique_ptr<Connection>>& connections() const { return connections_; }
  [[nodiscard]] Draining& draining() { return draining_; }
  [[nodiscard]] FlightRecorder& recorder() { return recorder_; }
  [[nodiscard]] Services& services() { return services_; }
  [[nodiscard]] OpensslHandshakes& handshakes() { return handshakes_; }
  /// The snapshot with which new connections begin.
  [[nodiscard]] const std::shared_ptr<WorkerSnapshot>& snapshot() const { return snapshot_; }
  /// Returns an id that is unique within the process.
  [[nodiscard]] std::uint64_t new_connection_id() { return next_id_++; }
  /// Adds a connection, which takes no step yet.
  void add(std::unique_ptr<Connection> connection);
  /// Asks the rules in force about the peer of a connection, if it has one, and ends the connection if they
  /// refuse the peer.
  void evaluate_soon(Connection& connection);

  // Host
  [[nodiscard]] TimePoint now() const override { return Clock::now(); }
  void bury(Connection& connection) override;
  void call_again(Connection& connection) override;
  void call_in_turn(Connection& connection) override { newcomers_.push(connection); }
  void flush_soon(Connection& connection) override;
  void offload(Connection& connection, std::shared_ptr<PrivateKeyOperation> operation) override;
  [[nodiscard]] std::function<void()> waker(Connection& connection) override;
  void forget_waker(Connection& connection) override;
  void client_let_in(Connection& connection) override;

 private:
  Worker(const Options& options, std::unique_ptr<LibraryContext> library, Log& log,
         MetricsRegistry& registry);
  static void before_wait(void* self);
  static void after_wait(void* self);
  static void flush_due(void* self);
  static void second_over(void* self);
  static void last_words_over(void* self);
  [[nodiscard]] bool has_room() const override;

  void run();
  void accepted(const std::string& listener, Fd client, const Address& source);
  /// The limit of the process that a new connection exceeds.
  struct Refusal {
    CloseReason reason;
    std::string_view limit;
  };
  [[nodiscard]] std::optional<Refusal> refusal(TimePoint now) const;
  void count_connections();
  void keep(std::unique_ptr<Connection> connection);
  void operation_finished(const CryptoOffload::Task& task);
  void out_of_descriptors(const std::string& listener, bool refused);
  void flush_held_back();
  void end_clients_without_certificate_soon();
  void each_second();
  void log_summaries();
  void log_left_out(TimePoint until);
  void empty_morgue();
  void tell_when_cut(bool is_late);
  void destroy(Connection& dead);
  void call_those_with_work();
  template <class Predicate>
  void accept_last_where(Predicate predicate);
  template <class Predicate>
  void remove_acceptors(Predicate predicate);
  void end_spares_where_idle();
  void serve_handshakes();
  void account_for_turn(TimePoint now);

  Options options_;
  Log& log_;
  LoopMetrics& metrics_;
  std::unique_ptr<LibraryContext> library_;
  std::shared_ptr<const LibraryContext> offload_library_;
  Loop loop_;
  Inbox inbox_;
  Buffers buffers_;
  PipePool pipes_;  // outlives the streams of the connections
  SocketTransport transport_;
  OpensslHandshakes handshakes_;
  KnownTlsInfo known_tls_;
  FailureLimiter limiter_;
  FlightRecorder recorder_;
  UnfinishedHellos unfinished_;
  Newcomers newcomers_;
  Admission admission_;
  SpareConnections spares_;
  Services services_;
  TurnWatcher turn_;
  Timer flush_timer_, second_timer_, last_words_timer_;
  std::function<void()> cut_done_;  // null: no cut is under way
  TimePoint second_due_{};
  std::unique_ptr<CryptoOffload> crypto_offload_;
  std::shared_ptr<WorkerSnapshot> snapshot_;
  struct Bound {
    std::string listener, bind;
    std::unique_ptr<Acceptor> acceptor;

    [[nodiscard]] bool is_among(const std::vector<Place>& places) const {
      return std::ranges::find(places, Place(listener, bind)) != places.end();
    }
  };
  std::vector<Bound> acceptors_;
  TurnShares shares_;
  PeerWatch peers_;
  TcpSampler tcp_sampler_;
  bool looks_for_clients_without_certificate_ = false;
  bool is_bound_ = false;  // by run_on()
  Draining draining_{*this};
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<Connection*> morgue_;  // buried in this turn
  bool some_not_in_morgue_ = false;
  bool counts_connections_ = false;    // for limits.max_connections of the process
  std::vector<Connection*> to_call_;   // with work that no descriptor announces
  std::vector<Connection*> to_flush_;  // holding session tickets back
  struct Offloading {
    Connection* connection = nullptr;
    std::shared_ptr<PrivateKeyOperation> operation;
  };
  std::unordered_map<std::uint64_t, Offloading> offloading_;  // by connection: the operation it waits for
  std::unordered_map<std::uint64_t, Connection*> to_wake_;    // by id: those with a waker
  std::uint64_t next_id_;
  TimePoint turn_began_{};
  TimePoint last_descriptor_warning_{};
  std::atomic<Duration::rep> answered_{Clock::now().time_since_epoch().count()};
  std::atomic<bool> empty_{false};
  std::thread thread_;
};

}  // namespace headgate
