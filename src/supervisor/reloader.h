#pragma once

#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "config/load.h"
#include "event/inbox.h"
#include "log/log.h"
#include "metrics/process_state.h"
#include "snapshot/snapshot.h"
#include "snapshot/worker_snapshot.h"
#include "supervisor/errand.h"
#include "supervisor/lifeline.h"
#include "supervisor/listening_sockets.h"
#include "supervisor/reload_outcome.h"
#include "supervisor/start_keys.h"
#include "supervisor/worker_cpus.h"
#include "supervisor/workers.h"

namespace headgate {

/// Brings configurations into force: the first one at the start, and another with each reload.
///
///     request > load > build > adopt > tell
///
/// One reload runs at a time, and it is all or nothing. Requests that come while a reload is under way share
/// the next one. Files are read on a thread of their own, so a slow disk delays only the reload. The outcome
/// is told when the names of new backends are known as well, unless another reload begins before.
///
/// Main thread, unless marked otherwise.
class Reloader {
 public:
  /// The objects that it works on. All outlive it.
  struct Parts {
    Inbox& inbox;  ///< The main thread's.
    Log& log;
    StateBoard& board;
    MetricsRegistry& registry;
    ServerDirectory& directory;
    ListeningSockets& sockets;
    Workers& workers;
  };
  /// The questions to the process around it. On the main thread, but for `load`.
  struct Site {
    std::function<config::Loaded()> load;  ///< One call at a time, on any thread.
    /// Says which files the configuration includes now, where they are others than at the last call, also
    /// where it has faults. They are read once more after it.
    std::function<void(const std::vector<std::string>& include)> included = [](const auto&) {};
    /// Says that a configuration is loaded, and that the files which it names are read next.
    std::function<void(const config::Config& config)> loaded = [](const config::Config&) {};
    /// Returns why no reload may begin now; empty: it may.
    std::function<std::string()> refusal = [] { return std::string(); };
    /// Says that `snapshot` is in force since now. `known` is called when the names of its backends are
    /// known.
    std::function<void(const std::shared_ptr<const Snapshot>& snapshot, std::function<void()> known)>
        adopted = [](const auto&, const std::function<void()>& known) { known(); };
  };
  /// Why the first configuration is not in force.
  struct StartFault {
    bool is_of_configuration = false;  ///< False: the fault is the system's.
    std::vector<std::string> messages;
  };

  Reloader(Parts parts, Site site) : parts_(parts), site_(std::move(site)) {}
  /// Waits for the thread that reads files. Requests that wait hear that the process ends.
  ~Reloader() { end(); }
  Reloader(const Reloader&) = delete;
  Reloader& operator=(const Reloader&) = delete;

  /// Loads the first configuration and adopts it before it returns. `site.adopted` is not called.
  /// `in_use` are the certificates of the process before, where there was one.
  [[nodiscard]] tl::expected<void, StartFault> begin(const CertificatesInUse& in_use = {});
  /// The configuration in force, once begin() has succeeded.
  [[nodiscard]] const std::shared_ptr<const Snapshot>& in_force() const { return in_force_; }

  /// Reloads and looks at every file, and tells the outcome when it is known. Any thread.
  [[nodiscard]] std::shared_future<Outcome> request();
  /// Reloads: of all files, only `paths` may differ from those that were loaded last. Where `site.refusal`
  /// has a reason not to, nothing is said or counted: nobody has asked. Any thread.
  void files_changed(const std::vector<std::string>& paths);
  /// The outcome of the reload that ended last. Its changes are in force, though names may be unknown.
  [[nodiscard]] const ReloadOutcome& last() const { return last_; }
  /// Says that the loop has ended: every caller that waits for a reload hears so.
  void end();

 private:
  using Promise = std::shared_ptr<std::promise<Outcome>>;
  /// The data that one reload has gathered so far.
  struct Loading {
    config::Loaded loaded;
    Diagnostics diagnostics{};
    std::shared_ptr<const Snapshot> snapshot{};
  };
  /// The parts of a snapshot for each worker, by the worker's index.
  using Prepared = std::vector<std::shared_ptr<WorkerSnapshot>>;

  [[nodiscard]] std::shared_future<Outcome> request_while_locked();
  void next();
  void load();
  [[nodiscard]] bool includes_others(const config::Loaded& loaded);
  void loaded(const std::shared_ptr<Loading>& loading);
  void build(Loading& loading, const LoadedBefore& before) const;
  void built(const Loading& loading);
  [[nodiscard]] Result<void> adopt(std::shared_ptr<const Snapshot> snapshot);
  /// All that a snapshot needs so that nothing can fail any more.
  struct Ready {
    ListeningSockets::Plan plan;
    Prepared prepared;
  };
  [[nodiscard]] Result<Ready> get_ready(const std::shared_ptr<const Snapshot>& snapshot, std::size_t workers);
  [[nodiscard]] Result<Prepared> prepare(const std::shared_ptr<const Snapshot>& snapshot, std::size_t count);
  void hand_out(Prepared prepared, ListeningSockets::Changes changes, const WorkerPlan& workers);
  void log_listening(const std::set<std::string>& listeners) const;
  void finish(ReloadOutcome outcome);
  void publish(const ReloadOutcome& outcome);
  void tell();

  Parts parts_;
  Site site_;
  std::shared_ptr<const Snapshot> in_force_;
  std::optional<StartKeys> start_keys_;  // once begin() has succeeded
  std::vector<std::string> include_;     // that site_.included heard of last
  ReloadOutcome last_;
  Promise telling_;             // of the reload under way, or of the last one until its outcome is told
  std::uint64_t attempt_ = 0;   // the number of that reload
  ChangedFiles changed_;        // that the reload under way is about...
  bool all_may_differ_ = true;  // ...unless any file may differ
  bool asked_ = false;          // by request()
  Lifeline lifeline_;

  std::mutex mutex_;
  Promise wanted_;  // guarded by mutex_, as all below: of the next reload
  std::shared_future<Outcome> wanted_outcome_;
  ChangedFiles wanted_changed_;  // of the next reload
  bool wanted_all_ = false;
  bool wanted_asked_ = false;
  bool ended_ = false;

  Errand files_{parts_.inbox, "hg-reload"};  // last: the objects that its thread uses go after it
};

}  // namespace headgate
