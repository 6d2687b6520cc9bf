#include "supervisor/reloader.h"

#include <utility>

#include "supervisor/board_report.h"
#include "supervisor/log_report.h"
#include "supervisor/systemd.h"
#include "supervisor/worker_cpus.h"

namespace headgate {
namespace {

std::string_view result_of(const ReloadOutcome& outcome) {
  if (outcome.is_done()) return "ok";
  return outcome.is_in_force() ? "partly" : "failed";
}

std::uint64_t& count_of(const ReloadOutcome& outcome, ReloadReport& report) {
  if (outcome.is_done()) return report.ok;
  return outcome.is_in_force() ? report.partly : report.failed;
}

std::string status_after(const ReloadOutcome& outcome) {
  if (!outcome.is_in_force()) return "serving; the last reload failed";
  const std::string notice = restart_notice(*outcome.change);
  return std::string(outcome.is_done() ? "serving" : "serving; the last reload refused files") +
         (notice.empty() ? "" : "; " + notice);
}

}  // namespace

tl::expected<void, Reloader::StartFault> Reloader::begin(const CertificatesInUse& in_use) {
  Loading loading{.loaded = site_.load()};
  if (includes_others(loading.loaded)) loading.loaded = site_.load();
  auto errors = log_faults(loading.loaded.faults, parts_.log);
  if (!errors.empty()) return tl::unexpected(StartFault{true, std::move(errors)});
  site_.loaded(loading.loaded.config);
  build(loading, {.in_use = &in_use});
  errors = log_diagnostics(loading.diagnostics, loading.loaded.places, parts_.log);
  count_faults(loading.diagnostics, parts_.board);
  if (!loading.snapshot) return tl::unexpected(StartFault{true, std::move(errors)});
  if (auto adopted = adopt(loading.snapshot); !adopted)
    return tl::unexpected(StartFault{false, {adopted.error().what}});
  for (const auto& kept : errors) parts_.log.error("file refused", {{"fault", kept}});
  start_keys_.emplace(in_force_->config);
  return {};
}

std::shared_future<Outcome> Reloader::request() {
  const std::lock_guard lock(mutex_);
  wanted_all_ = true;
  wanted_asked_ = true;
  return request_while_locked();
}

void Reloader::files_changed(const std::vector<std::string>& paths) {
  const std::lock_guard lock(mutex_);
  wanted_changed_.insert(paths.begin(), paths.end());
  static_cast<void>(request_while_locked());
}

std::shared_future<Outcome> Reloader::request_while_locked() {
  if (wanted_) return wanted_outcome_;
  wanted_ = std::make_shared<std::promise<Outcome>>();
  wanted_outcome_ = wanted_->get_future().share();
  if (ended_) {
    std::exchange(wanted_, nullptr)->set_value(ReloadOutcome::refused("the process ends").outcome);
  } else {
    parts_.inbox.post(lifeline_.guard([this] { next(); }));
  }
  return wanted_outcome_;
}

// Begins the reload that is wanted, unless one is under way: the end of that one calls this again.
void Reloader::next() {
  if (files_.is_under_way()) return;
  Promise wanted;
  {
    const std::lock_guard lock(mutex_);
    wanted = std::exchange(wanted_, nullptr);
    if (!wanted) return;
    changed_ = std::exchange(wanted_changed_, {});
    all_may_differ_ = std::exchange(wanted_all_, false);
    asked_ = std::exchange(wanted_asked_, false);
  }
  tell();  // some names may still be unknown: the next reload matters more
  telling_ = std::move(wanted);
  ++attempt_;
  if (auto why = site_.refusal(); !why.empty()) return finish(ReloadOutcome::refused(std::move(why)));
  systemd::notify_reloading();
  load();
}

void Reloader::load() {
  auto loading = std::make_shared<Loading>();
  files_.run([loading, load = site_.load] { loading->loaded = load(); },
             [this, loading] { loaded(loading); });
}

// Before the site watches them, a change of these files goes unnoticed.
bool Reloader::includes_others(const config::Loaded& loaded) {
  if (loaded.sources.include == include_) return false;
  include_ = loaded.sources.include;
  site_.included(include_);
  return true;
}

void Reloader::loaded(const std::shared_ptr<Loading>& loading) {
  if (includes_others(loading->loaded)) return load();
  if (auto errors = log_faults(loading->loaded.faults, parts_.log); !errors.empty())
    return finish(ReloadOutcome::failed(std::move(errors)));
  site_.loaded(loading->loaded.config);
  const auto changed = all_may_differ_ ? nullptr : std::make_shared<const ChangedFiles>(std::move(changed_));
  files_.run([this, loading, before = in_force_,
              changed] { build(*loading, {.snapshot = before.get(), .changed = changed.get()}); },
             [this, loading] { built(*loading); });
}

// Runs on the thread that reads files, except at the start. Uses no member of the reloader that changes.
void Reloader::build(Loading& loading, const LoadedBefore& before) const {
  loading.snapshot = Snapshot::build(loading.loaded.config, before, parts_.directory,
                                     std::chrono::system_clock::now(), loading.diagnostics);
}

void Reloader::built(const Loading& loading) {
  auto faults = log_diagnostics(loading.diagnostics, loading.loaded.places, parts_.log);
  count_faults(loading.diagnostics, parts_.board);
  if (!loading.snapshot) return finish(ReloadOutcome::failed(std::move(faults)));
  if (auto why = site_.refusal(); !why.empty()) return finish(ReloadOutcome::refused(std::move(why)));
  ReloadChange change = change_between(*in_force_, *loading.snapshot);
  change.for_restart = start_keys_->changed_in(loading.snapshot->config);
  if (auto adopted = adopt(loading.snapshot); !adopted)
    return finish(ReloadOutcome::failed({adopted.error().what}));
  finish(ReloadOutcome::done(std::move(change), std::move(faults)));
}

Result<Reloader::Ready> Reloader::get_ready(const std::shared_ptr<const Snapshot>& snapshot,
                                            std::size_t workers) {
  if (auto made = parts_.workers.grow(workers); !made) return tl::unexpected(std::move(made.error()));
  auto plan = parts_.sockets.plan(snapshot->config, workers);
  if (!plan) return tl::unexpected(std::move(plan.error()));
  auto prepared = prepare(snapshot, workers);
  if (!prepared) return tl::unexpected(std::move(prepared.error()));
  if (parts_.workers.are_started()) {
    if (auto changed = parts_.sockets.change_files(*plan); !changed)
      return tl::unexpected(std::move(changed.error()));
  }
  return Ready{*std::move(plan), *std::move(prepared)};
}

// Prepares every part first, so that a failure changes nothing; then hands the parts to the workers. Where
// the preparation fails, the workers that it made are retired.
Result<void> Reloader::adopt(std::shared_ptr<const Snapshot> snapshot) {
  // No worker has been bound by this thread: it may run on every CPU of the process.
  auto workers = plan_workers(snapshot->config, CpuSet::of_this_thread());
  if (!workers) return tl::unexpected(std::move(workers.error()));
  if (workers->incoming && !kernel_follows_incoming_cpu()) {
    parts_.log.warn(
        "workers.incoming_cpu has no effect: this kernel spreads connections by a hash; Linux 6.2 and later "
        "follow the CPU");
  }
  const std::size_t count = workers->count;
  const std::size_t before = parts_.workers.size();
  auto ready = get_ready(snapshot, count);
  if (!ready) {
    parts_.workers.shrink(before, {});
    return tl::unexpected(std::move(ready.error()));
  }
  auto& [plan, prepared] = *ready;
  std::set<std::string> fresh;
  for (const auto& [key, sockets] : plan.opened) {
    if ((!sockets.empty() && sockets.front()) || plan.renamed.contains(key)) fresh.insert(key.first);
  }
  auto changes = parts_.sockets.commit(std::move(plan), *workers);
  const auto gone = changes.gone;
  hand_out(std::move(prepared), std::move(changes), *workers);
  parts_.workers.shrink(count, gone);
  in_force_ = std::move(snapshot);
  if (!parts_.workers.are_started()) return {};
  parts_.sockets.apply_options();
  log_listening(fresh);
  return {};
}

Result<Reloader::Prepared> Reloader::prepare(const std::shared_ptr<const Snapshot>& snapshot,
                                             std::size_t count) {
  const bool offloads = needs_offload(*snapshot);
  Prepared prepared;
  for (std::size_t i = 0; i < count; ++i) {
    Worker& worker = parts_.workers.at(i);
    std::shared_ptr<const LibraryContext> offload;
    if (offloads) {
      auto library = worker.offload_library();
      if (!library) return tl::unexpected(std::move(library.error()));
      offload = *std::move(library);
    }
    auto one = WorkerSnapshot::prepare(snapshot, worker.index(), worker.library(), offload, parts_.registry);
    if (!one) return tl::unexpected(std::move(one.error()));
    prepared.push_back(*std::move(one));
  }
  return prepared;
}

void Reloader::hand_out(Prepared prepared, ListeningSockets::Changes changes, const WorkerPlan& workers) {
  for (std::size_t i = 0; i < prepared.size(); ++i) {
    Worker* worker = &parts_.workers.at(i);
    auto sockets = std::make_shared<std::vector<BoundSocket>>(std::move(changes.listen[i]));
    worker->post([worker, snapshot = std::move(prepared[i]), sockets, gone = changes.gone,
                  close = changes.close, cpu = workers.cpu_of(i), all = workers.all]() mutable {
      worker->run_on(cpu, all);
      worker->accept_last(gone);
      const config::AccessLog access = snapshot->shared->config.log.access;
      worker->adopt(std::move(snapshot), access);
      worker->change_sockets(close, std::move(*sockets));
    });
  }
}

void Reloader::log_listening(const std::set<std::string>& listeners) const {
  for (const std::string& listener : listeners) {
    for (const auto& address : parts_.sockets.addresses(listener)) {
      parts_.log.info("listening", {{"listener", listener}, {"address", address.text()}});
    }
  }
}

// A reload that did not succeed leaves its files to the next one, which looks at all of them.
void Reloader::finish(ReloadOutcome outcome) {
  if (!outcome.is_done()) {
    const std::lock_guard lock(mutex_);
    wanted_all_ = true;
  }
  last_ = std::move(outcome);
  if (asked_ || last_.outcome.verdict != Outcome::Verdict::kRefused) publish(last_);
  if (last_.is_in_force()) {
    site_.adopted(in_force_, lifeline_.guard([this, attempt = attempt_] {
      if (attempt == attempt_) tell();
    }));
  } else {
    tell();
  }
  next();
}

void Reloader::publish(const ReloadOutcome& outcome) {
  if (outcome.is_in_force()) {
    const std::string change = outcome.change->text();
    parts_.log.info("reloaded", {{"generation", static_cast<std::int64_t>(outcome.change->generation)},
                                 {"change", std::string_view(change)}});
    if (const std::string notice = restart_notice(*outcome.change); !notice.empty()) parts_.log.warn(notice);
  }
  std::vector<std::string> faults = outcome.outcome.faults;
  if (outcome.outcome.verdict == Outcome::Verdict::kRefused) faults.push_back(outcome.outcome.message);
  const char* what = outcome.is_in_force() ? "file refused" : "reload refused";
  for (const auto& fault : faults) parts_.log.error(what, {{"fault", fault}});
  parts_.board.update([&](ProcessState& state) {
    const WallTime now = std::chrono::system_clock::now();
    ++count_of(outcome, state.reload);
    state.reload.last_attempt = now;
    if (outcome.is_in_force()) {
      state.reload.last_success = now;
      state.reload.for_restart = outcome.change->for_restart;
    }
    state.reload.last_result = result_of(outcome);
    state.reload.faults = std::move(faults);
  });
}

// systemd has heard of a drain that it stops: after that it may not hear that the process is ready.
void Reloader::tell() {
  if (!telling_) return;
  if (parts_.workers.are_started() && site_.refusal().empty()) systemd::notify_ready(status_after(last_));
  std::exchange(telling_, nullptr)->set_value(last_.outcome);
}

void Reloader::end() {
  const Outcome ends = ReloadOutcome::refused("the process ends").outcome;
  if (telling_) std::exchange(telling_, nullptr)->set_value(files_.is_under_way() ? ends : last_.outcome);
  const std::lock_guard lock(mutex_);
  ended_ = true;
  if (wanted_) std::exchange(wanted_, nullptr)->set_value(ends);
}

}  // namespace headgate
