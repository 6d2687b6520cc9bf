#include <utility>

#include "supervisor/log_control.h"
#include "supervisor/snapshot_report.h"
#include "supervisor/supervisor.h"
#include "supervisor/systemd.h"

/// Reloads as the supervisor does them: one at a time, whoever asked, and all or nothing.
namespace headgate {

// The faults that forbid to go on; warnings are logged. An error leaves `config` half filled.
std::vector<std::string> Supervisor::load(config::Config& config, config::Places& places) {
  config::Loaded loaded = settings_.load();
  std::vector<std::string> errors;
  for (const auto& fault : loaded.faults) {
    if (fault.warning) {
      log_.warn(fault.text());
    } else {
      errors.push_back(fault.text());
    }
  }
  config = std::move(loaded.config);
  places = std::move(loaded.places);
  return errors;
}

std::shared_future<Outcome> Supervisor::request_reload() {
  const std::lock_guard lock(reload_mutex_);
  all_may_differ_ = true;
  return reload_soon();
}

void Supervisor::files_changed(const std::vector<std::string>& paths) {
  log_.info("files changed: reloading",
            {{"first", paths.front()}, {"files", static_cast<std::int64_t>(paths.size())}});
  const std::lock_guard lock(reload_mutex_);
  changed_.insert(paths.begin(), paths.end());
  static_cast<void>(reload_soon());
}

// Under reload_mutex_.
std::shared_future<Outcome> Supervisor::reload_soon() {
  if (!reload_waiting_) {
    reload_waiting_ = std::make_shared<std::promise<Outcome>>();
    reload_outcome_ = reload_waiting_->get_future().share();
    inbox_.post([this] { reload_now(); });
  }
  return reload_outcome_;
}

void Supervisor::reload_now() {
  std::shared_ptr<std::promise<Outcome>> waiting;
  ChangedFiles changed;
  bool all = false;
  {
    const std::lock_guard lock(reload_mutex_);
    waiting = std::exchange(reload_waiting_, nullptr);
    changed = std::exchange(changed_, {});
    all = std::exchange(all_may_differ_, false);
  }
  if (!waiting) return;
  systemd::notify_reloading();
  const Outcome outcome = reload(all ? nullptr : &changed);
  publish_reload(outcome);
  const bool done = outcome.verdict == Outcome::Verdict::kDone;
  if (!done) {  // what has not been loaded is to be looked for again
    const std::lock_guard lock(reload_mutex_);
    all_may_differ_ = true;
  }
  systemd::notify_ready(done ? "serving" : "serving; the last reload failed");
  waiting->set_value(outcome);
}

Outcome Supervisor::reload(const ChangedFiles* changed) {
  const auto failed = [](std::vector<std::string> faults) {
    return Outcome{Outcome::Verdict::kFailed, "nothing was changed", std::move(faults)};
  };
  if (is_draining()) return {Outcome::Verdict::kRefused, "the process is draining", {}};
  config::Config config;
  config::Places places;
  if (auto errors = load(config, places); !errors.empty()) return failed(std::move(errors));
  Diagnostics diagnostics;
  auto snapshot = Snapshot::build(config, snapshot_.get(), changed, directory_,
                                  std::chrono::system_clock::now(), diagnostics);
  auto errors = log_diagnostics(diagnostics, places, log_);
  count_faults(diagnostics, board_);
  if (snapshot) refuse_lost_names(*snapshot_, *snapshot, errors);
  if (!snapshot || !errors.empty()) return failed(std::move(errors));
  if (auto adopted = adopt(std::move(snapshot)); !adopted) return failed({adopted.error().what});
  log_control_.configure(config.log.level);
  watch_files(snapshot_->config);
  follow_backends();
  canaries_.follow(*snapshot_);
  publish_snapshot();
  return {Outcome::Verdict::kDone, "reloaded", {}};
}

void Supervisor::publish_reload(const Outcome& outcome) {
  const bool ok = outcome.verdict == Outcome::Verdict::kDone;
  if (ok) log_.info("reloaded", {{"generation", static_cast<std::int64_t>(snapshot_->generation)}});
  for (const auto& fault : outcome.faults) log_.error("reload refused", {{"fault", fault}});
  board_.update([&](ProcessState& state) {
    const WallTime now = std::chrono::system_clock::now();
    (ok ? state.reload.ok : state.reload.failed) += 1;
    state.reload.last_attempt = now;
    if (ok) state.reload.last_success = now;
    state.reload.faults = outcome.faults;
  });
}

void Supervisor::publish_snapshot() {
  board_.update([&](ProcessState& state) { report_snapshot(*snapshot_, sockets_, state); });
}

}  // namespace headgate
