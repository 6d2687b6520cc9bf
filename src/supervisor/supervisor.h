#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "backend/health_check.h"
#include "backend/server.h"
#include "config/load.h"
#include "event/inbox.h"
#include "event/loop.h"
#include "event/signal_watcher.h"
#include "event/timer.h"
#include "log/log.h"
#include "metrics/exporter.h"
#include "metrics/process_state.h"
#include "net/resolver.h"
#include "snapshot/snapshot.h"
#include "supervisor/canaries.h"
#include "supervisor/drains.h"
#include "supervisor/file_watch.h"
#include "supervisor/health_tls.h"
#include "supervisor/listening_sockets.h"
#include "supervisor/log_control.h"
#include "supervisor/memory_return.h"
#include "supervisor/predecessor.h"
#include "supervisor/requests.h"
#include "supervisor/successor.h"
#include "worker/worker.h"

namespace headgate {

/// The process as a whole, on the main thread: signals, configuration, files, health checks, names,
/// snapshots. It touches no connection.
///
///     auto supervisor = Supervisor::make(settings, log);   // loads, opens sockets; nothing runs yet
///     (*supervisor)->start();                              // workers accept from here on
///     return (*supervisor)->run();                         // until a signal says so
///
/// Main thread only, but for what is marked otherwise.
class Supervisor {
 public:
  struct Settings {
    std::function<config::Loaded()> load;  ///< Called at the start and for each reload.
    std::string config_file;               ///< Watched; empty: there is none.
    Program program;                       ///< What an upgrade starts.
  };
  /// The admin endpoint, as an upgrade needs it: closed before the new process opens it, and opened again if
  /// that one fails. Called on the upgrade's thread.
  struct AdminDoor {
    std::function<void()> close = [] {};
    std::function<void()> open = [] {};
  };
  /// Why there is no process: `exit_code` is the contract's, `messages` are lines for stderr.
  struct StartFailure {
    int exit_code = 0;
    std::vector<std::string> messages;
  };

  /// Loads the configuration and everything it names, opens the listening sockets, gives up privileges.
  [[nodiscard]] static tl::expected<std::unique_ptr<Supervisor>, StartFailure> make(Settings settings,
                                                                                    Log& log);
  ~Supervisor();
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  /// Starts the workers.
  void start();
  /// Starts them with what the process before held, where has_predecessor(). Errors: kSystem; that process
  /// keeps everything then, and this one must end.
  [[nodiscard]] Result<void> take_over();
  /// Serves until the process shall end. Returns the exit code.
  [[nodiscard]] int run();
  /// Whether this process takes over from another, in an upgrade: live connections wait, so nothing may come
  /// before take_over().
  [[nodiscard]] bool has_predecessor() const { return predecessor_ != nullptr; }
  /// Before run().
  void set_admin_door(AdminDoor door) { admin_door_ = std::move(door); }

  [[nodiscard]] const config::Config& config() const { return snapshot_->config; }
  [[nodiscard]] std::vector<Address> addresses(const std::string& listener) const {
    return sockets_.addresses(listener);
  }

  // Any thread, for the admin endpoint:
  [[nodiscard]] std::string metrics_text(const MetricSet& wanted) const { return exporter_.text(wanted); }
  [[nodiscard]] const StateBoard& board() const { return board_; }
  [[nodiscard]] const MetricsRegistry& registry() const { return registry_; }
  [[nodiscard]] Log& log() { return log_; }
  /// Whether every loop has answered lately; if not, which one has not.
  [[nodiscard]] Health loops_turn() const;
  [[nodiscard]] bool is_draining() const { return draining_.load(std::memory_order_relaxed); }
  /// Reloads, looking at every file, and tells the outcome when it is known. Requests that come while one is
  /// waiting share it.
  [[nodiscard]] std::shared_future<Outcome> request_reload();
  /// Begins to drain: the process, or what `request` names.
  [[nodiscard]] Outcome request_drain(const DrainRequest& request);
  /// Changes what is logged, for all or what `request` names.
  [[nodiscard]] Outcome request_log_level(const LogLevelRequest& request);
  /// Starts the program on disk and hands everything over to it.
  void upgrade();
  /// Runs `ask` on each worker's thread and waits for all, for a bounded time.
  /// Returns how many there are.
  std::size_t ask_workers(const std::function<void(Worker&)>& ask);

 private:
  Supervisor(Settings settings, Log& log);

  [[nodiscard]] std::vector<std::string> load(config::Config& config, config::Places& places);
  [[nodiscard]] std::optional<StartFailure> prepare();
  [[nodiscard]] Result<std::vector<systemd::ActivatedSocket>> inherited_sockets();
  [[nodiscard]] Result<void> inherit();
  void publish_start();
  void upgrade_ended(const Successor::Outcome& outcome);
  [[nodiscard]] std::vector<std::string> counters_at_upgrade(const std::map<std::string, std::uint64_t>& left,
                                                             std::uint64_t moved) const;
  [[nodiscard]] Result<void> make_workers(std::size_t count);
  [[nodiscard]] Result<void> adopt(std::shared_ptr<const Snapshot> snapshot);
  void retire_workers_beyond(std::size_t count);
  void end_retired_workers();
  void log_listening(const std::set<std::string>& listeners);
  void follow_backends();
  void watch_signals();
  void watch_files(const config::Config& config);
  void files_changed(const std::vector<std::string>& paths);
  [[nodiscard]] std::shared_future<Outcome> reload_soon();
  void reload_now();
  [[nodiscard]] Outcome reload(const ChangedFiles* changed);
  void publish_reload(const Outcome& outcome);
  void publish_snapshot();
  void on_signal_term();
  void begin_drain(Duration time);
  void drain_all(Duration time);
  void cut();
  void tick();
  void drain_step();
  [[nodiscard]] Outcome drain_part(const DrainRequest& request);
  void publish_drains();
  [[nodiscard]] Outcome on_main_thread(std::function<Outcome()> act);
  [[nodiscard]] Outcome change_log_level(const LogLevelRequest& request);
  void feed_watchdog();
  [[nodiscard]] std::uint64_t connections() const;
  [[nodiscard]] std::uint64_t handshakes_in_progress() const;

  Settings settings_;
  Log& log_;
  MetricsRegistry registry_;
  StateBoard board_;
  Exporter exporter_{registry_, board_};
  ServerDirectory directory_;
  LogControl log_control_;
  Loop loop_;
  Inbox inbox_;
  ListeningSockets sockets_;
  std::shared_ptr<const Snapshot> snapshot_;
  std::vector<std::shared_ptr<Worker>> workers_;  // changed under workers_mutex_
  std::vector<std::shared_ptr<Worker>> retired_;  // accept no more, end with their last connection; likewise
  mutable std::mutex workers_mutex_;
  std::unique_ptr<HealthTls> health_tls_;
  std::unique_ptr<HealthChecker> health_;
  std::unique_ptr<Resolver> resolver_;
  std::unique_ptr<FileWatch> files_;
  std::vector<std::unique_ptr<SignalWatcher>> signals_;
  Timer ticker_;
  std::mutex reload_mutex_;
  std::shared_ptr<std::promise<Outcome>> reload_waiting_;  // guarded by reload_mutex_
  std::shared_future<Outcome> reload_outcome_;             // guarded by reload_mutex_
  ChangedFiles changed_;                                   // guarded by reload_mutex_: not loaded yet
  bool all_may_differ_ = false;                            // guarded by reload_mutex_: more than changed_
  std::atomic<bool> draining_{false};
  /// The first part of a drain of the process.
  struct StillAccepting {
    TimePoint until{};
    Duration then_drain_for{};
  };
  std::optional<StillAccepting> still_accepting_;
  bool accepting_stopped_ = false;
  Drains drains_{[this](const auto& ask) { return ask_workers(ask); }};
  Canaries canaries_{log_, board_};
  std::vector<std::uint64_t> busy_before_us_;
  MemoryReturn memory_of_connections_, memory_of_handshakes_;
  TimePoint ticked_{};
  bool running_ = false;
  AdminDoor admin_door_;
  std::unique_ptr<Predecessor> predecessor_;
  std::unique_ptr<Successor> successor_;  // while an upgrade is under way; last: it asks all the others
};

}  // namespace headgate
