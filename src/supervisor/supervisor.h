#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backend/server.h"
#include "config/load.h"
#include "event/inbox.h"
#include "event/loop.h"
#include "event/signal_watcher.h"
#include "event/timer.h"
#include "log/log.h"
#include "metrics/exporter.h"
#include "metrics/history.h"
#include "metrics/process_state.h"
#include "snapshot/snapshot.h"
#include "supervisor/backend_watch.h"
#include "supervisor/canaries.h"
#include "supervisor/certificate_watch.h"
#include "supervisor/descriptors.h"
#include "supervisor/drains.h"
#include "supervisor/file_watch.h"
#include "supervisor/listening_sockets.h"
#include "supervisor/log_control.h"
#include "supervisor/memory_return.h"
#include "supervisor/reloader.h"
#include "supervisor/requests.h"
#include "supervisor/sandbox_layers.h"
#include "supervisor/successor.h"
#include "supervisor/upgrade.h"
#include "supervisor/watched_files.h"
#include "supervisor/workers.h"

namespace headgate {

/// The process as a whole, on the main thread: signals, threads, and the way from the start to the end. The
/// Reloader brings configurations into force, the Upgrade hands over. The Supervisor touches no connection,
/// and once it runs it waits only for its loop.
///
///     auto supervisor = Supervisor::make(settings, log);   // loads, opens sockets; nothing runs yet
///     (*supervisor)->start();       // workers accept once the backends' names are known
///     return (*supervisor)->run();  // until a signal ends it
///
/// Main thread only, unless marked otherwise.
class Supervisor {
 public:
  struct Settings {
    std::function<config::Loaded()> load;  ///< Called at the start and for each reload, on any thread.
    std::string config_file;               ///< Watched; empty: there is none.
    Program program;                       ///< The program that an upgrade starts.
  };
  /// Says why the process cannot start: `exit_code` is the contract's, `messages` are lines for stderr.
  struct StartFailure {
    int exit_code = 0;
    std::vector<std::string> messages;
  };

  /// Loads the configuration and every file that it names, opens the listening sockets, gives up privileges.
  [[nodiscard]] static tl::expected<std::unique_ptr<Supervisor>, StartFailure> make(Settings settings,
                                                                                    Log& log);
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  /// Starts the workers: at once where no backend has a name to be looked up; otherwise the loop starts them
  /// when the names are known or their time is over.
  void start();
  /// Starts the workers with the connections of the process before, where has_predecessor(). Errors: kSystem;
  /// that process then keeps all connections, and this one must end.
  [[nodiscard]] Result<void> take_over();
  /// Serves until the process has to end. Returns the exit code.
  [[nodiscard]] int run();
  /// Whether this process takes over from another, in an upgrade: live connections wait, so no slow step may
  /// come before take_over().
  [[nodiscard]] bool has_predecessor() const { return upgrade_.has_predecessor(); }
  /// The sockets of the admin endpoint that systemd or the process before made. Call it once.
  [[nodiscard]] ListeningSockets::AdminSockets take_admin_sockets() { return sockets_.take_admin(); }
  /// Before run().
  void set_admin_door(Upgrade::AdminDoor door) { upgrade_.set_admin_door(std::move(door)); }

  [[nodiscard]] const config::Config& config() const { return reloader_.in_force()->config; }
  [[nodiscard]] std::vector<Address> addresses(const std::string& listener) const {
    return sockets_.addresses(listener);
  }

  // Any thread, for the admin endpoint:
  [[nodiscard]] std::string metrics_text(const MetricSet& wanted) const { return exporter_.text(wanted); }
  [[nodiscard]] const StateBoard& board() const { return board_; }
  [[nodiscard]] const MetricsRegistry& registry() const { return registry_; }
  [[nodiscard]] const History& history() const { return history_; }
  [[nodiscard]] Log& log() { return log_; }
  /// Whether `token` opens the admin endpoint: where the configuration has none, every one does.
  [[nodiscard]] bool admits(std::string_view token) const;
  /// Whether every loop has turned lately; if not, the reason names one that has not.
  [[nodiscard]] Health loops_turn() const { return workers_.loops_turn(Clock::now()); }
  /// With `admin.ready: every_name`, whether every name of the configuration has a valid certificate.
  [[nodiscard]] Health serves_every_name() const;
  [[nodiscard]] bool is_draining() const { return draining_.load(std::memory_order_relaxed); }
  /// Whether the workers have been started: before that, clients wait in the kernel.
  [[nodiscard]] bool is_serving() const { return serving_.load(std::memory_order_relaxed); }
  /// Reloads and looks at every file, and tells the outcome when it is known. Requests that come while one is
  /// waiting share it.
  [[nodiscard]] std::shared_future<Outcome> request_reload() { return reloader_.request(); }
  /// Begins a drain of the process, or of the part that `request` names.
  [[nodiscard]] Outcome request_drain(const DrainRequest& request);
  /// Changes the log level of all lines, or of the part that `request` names.
  [[nodiscard]] Outcome request_log_level(const LogLevelRequest& request);
  /// Runs `ask` on each worker's thread and waits for all, for a bounded time. Returns their number. Any
  /// thread but the main one.
  std::size_t ask_workers(const Workers::Work& ask) { return workers_.ask_and_wait(ask); }

 private:
  /// Takes an answer once it is known.
  using Tell = std::function<void(Outcome)>;

  Supervisor(Settings settings, Log& log);
  [[nodiscard]] Reloader::Site site_of_reloader();
  [[nodiscard]] Upgrade::Site site_of_upgrade();

  [[nodiscard]] std::optional<StartFailure> prepare();
  [[nodiscard]] std::optional<StartFailure> confine();
  [[nodiscard]] std::optional<StartFailure> inherit();
  void publish_start();
  void serve();
  void watch_signals();
  [[nodiscard]] ConfigFiles config_files() const { return {settings_.config_file, include_}; }
  void watch_files(const config::Config& config);
  void adopted(const std::shared_ptr<const Snapshot>& snapshot, std::function<void()> known);
  void publish_snapshot();
  void on_signal_term();
  void begin_drain(Duration time);
  void drain_all(Duration time, Worker::Waiting waiting);
  void cut();
  void tick();
  void return_memory(TimePoint now);
  void drain_step();
  void drain_part(const DrainRequest& request, Tell tell);
  void drain_begun(const DrainReport& report);
  void publish_drains();
  [[nodiscard]] Outcome on_main_thread(std::function<void(Tell)> act);
  void change_log_level(const LogLevelRequest& request, const Tell& tell);
  void feed_watchdog();
  [[nodiscard]] std::uint64_t connections() const;
  [[nodiscard]] std::uint64_t handshakes_in_progress() const;

  Settings settings_;
  std::vector<std::string> include_;  // what the configuration includes, by the last attempt to load it
  Log& log_;
  MetricsRegistry registry_;
  StateBoard board_;
  Exporter exporter_{registry_, board_};
  History history_{registry_};
  ServerDirectory directory_;
  Loop loop_;
  Inbox inbox_;
  ListeningSockets sockets_;
  Workers workers_;
  LogControl log_control_;
  SandboxLayers layers_;  // of this process, and so of the program that it starts
  mutable std::mutex admin_token_mutex_;
  std::shared_ptr<const AdminToken> admin_token_;  // guarded by it
  std::unique_ptr<BackendWatch> backends_;
  std::unique_ptr<FileWatch> files_;
  std::vector<std::unique_ptr<SignalWatcher>> signals_;
  DescriptorTable descriptors_;
  Timer ticker_;
  int exit_code_ = 0;
  std::atomic<bool> serving_{false};
  std::atomic<bool> draining_{false};
  /// The first part of a drain of the process.
  struct StillAccepting {
    TimePoint until{};
    Duration then_drain_for{};
  };
  std::optional<StillAccepting> still_accepting_;
  bool accepting_stopped_ = false;  // the workers have been told
  bool nobody_accepts_ = false;     // the workers have stopped, or do not answer
  Drains drains_{workers_};
  Canaries canaries_{log_, board_};
  CertificateWatch certificate_watch_{log_, board_,
                                      [this](const auto& files) { reloader_.files_changed(files); }};
  std::vector<std::uint64_t> busy_before_us_;
  MemoryReturn memory_of_connections_, memory_of_handshakes_;
  MemoryReturnNearLimit memory_near_limit_;
  bool is_near_memory_limit_ = false;
  TimePoint ticked_{};
  Reloader reloader_;
  Upgrade upgrade_;  // last: its thread asks all other members
};

}  // namespace headgate
