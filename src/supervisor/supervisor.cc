#include "supervisor/supervisor.h"

#include <algorithm>
#include <csignal>
#include <iterator>
#include <random>
#include <utility>

#include "base/exit_code.h"
#include "base/thread_signals.h"
#include "config/show.h"
#include "supervisor/cpu_count.h"
#include "supervisor/privileges.h"
#include "supervisor/sandbox.h"
#include "supervisor/snapshot_report.h"
#include "supervisor/state_dump.h"
#include "supervisor/systemd.h"
#include "supervisor/watched_files.h"

namespace headgate {
namespace {

constexpr Duration kTick = std::chrono::milliseconds(500);
/// A loop that has not answered for so long hangs.
constexpr Duration kLoopPatience = std::chrono::seconds(10);
constexpr Duration kNamesPatience = std::chrono::seconds(5);
constexpr Duration kMainPatience = std::chrono::seconds(5);
constexpr Duration kAskPatience = std::chrono::seconds(2);

std::size_t worker_count(const config::Config& config) {
  return static_cast<std::size_t>(config.workers > 0 ? config.workers : usable_cpus());
}

std::string joined(const std::vector<std::string>& messages) {
  std::string text;
  for (const auto& message : messages) text += (text.empty() ? "" : "; ") + message;
  return text;
}

}  // namespace

tl::expected<std::unique_ptr<Supervisor>, Supervisor::StartFailure> Supervisor::make(Settings settings,
                                                                                     Log& log) {
  std::unique_ptr<Supervisor> supervisor(new Supervisor(std::move(settings), log));
  if (auto failure = supervisor->prepare()) {
    if (supervisor->predecessor_) supervisor->predecessor_->refuse(joined(failure->messages));
    return tl::unexpected(std::move(*failure));
  }
  return supervisor;
}

Supervisor::Supervisor(Settings settings, Log& log)
    : settings_(std::move(settings)),
      log_(log),
      log_control_(log,
                   [this](const auto& overrides) {
                     ask_workers([overrides](Worker& worker) { worker.set_log_levels(overrides); });
                   }),
      inbox_(loop_),
      sockets_({}),
      ticker_(loop_, this, Timer::Calls<[](void* self) { static_cast<Supervisor*>(self)->tick(); }>()) {}

Supervisor::~Supervisor() {
  successor_.reset();
  for (auto& worker : workers_) worker->stop();
  for (auto& worker : retired_) worker->stop();
}

std::optional<Supervisor::StartFailure> Supervisor::prepare() {
  const auto cannot_start = [](const Error& error) { return StartFailure{kExitCannotStart, {error.what}}; };
  predecessor_ = Predecessor::find();
  auto inherited = inherited_sockets();
  if (!inherited) return cannot_start(inherited.error());
  sockets_ = ListeningSockets(*std::move(inherited));
  config::Config config;
  config::Places places;
  // Each file is watched before it is read: what changes meanwhile is seen.
  files_ = std::make_unique<FileWatch>(
      loop_, [this](const std::vector<std::string>& changed) { files_changed(changed); });
  watch_files(config);
  if (auto errors = load(config, places); !errors.empty())
    return StartFailure{kExitConfiguration, std::move(errors)};
  watch_files(config);
  log_control_.configure(config.log.level);
  if (auto raised = raise_descriptor_limit(); !raised) log_.warn(raised.error().what);

  Diagnostics diagnostics;
  auto snapshot =
      Snapshot::build(config, nullptr, nullptr, directory_, std::chrono::system_clock::now(), diagnostics);
  std::vector<std::string> errors = log_diagnostics(diagnostics, places, log_);
  count_faults(diagnostics, board_);
  if (!snapshot) return StartFailure{kExitConfiguration, std::move(errors)};

  auto health_tls = HealthTls::make();
  if (!health_tls) return StartFailure{kExitCannotStart, {health_tls.error().what}};
  health_tls_ = *std::move(health_tls);

  if (auto made = make_workers(worker_count(config)); !made) return cannot_start(made.error());
  if (auto adopted = adopt(std::move(snapshot)); !adopted) return cannot_start(adopted.error());
  if (auto dropped = drop_privileges(config.user, config.group); !dropped)
    return cannot_start(dropped.error());
  if (config.sandbox) {
    const auto writable = writable_directories(config, log_.file());
    for (const auto& failure : enter_sandbox(writable).failures) log_.warn(failure);
  }
  board_.update([&](ProcessState& state) {
    state.version = HEADGATE_VERSION;
    state.openssl = openssl_version();
    state.config_file = settings_.config_file;
    state.started = std::chrono::system_clock::now();
    state.reload.last_success = state.started;
  });
  // Before the admin endpoint says that it is ready: from then on it is looked at, and sent signals.
  publish_snapshot();
  watch_signals();
  if (!predecessor_) return std::nullopt;
  follow_backends();  // now, while the other process serves: a loop's first turn may bring connections
  if (auto inherits = inherit(); !inherits) return cannot_start(inherits.error());
  return std::nullopt;
}

Result<std::vector<systemd::ActivatedSocket>> Supervisor::inherited_sockets() {
  return predecessor_ ? predecessor_->receive_sockets() : systemd::take_activated_sockets();
}

Result<void> Supervisor::make_workers(std::size_t count) {
  while (workers_.size() < count) {
    auto worker = Worker::make({.index = static_cast<int>(workers_.size())}, log_, registry_);
    if (!worker) return tl::unexpected(std::move(worker.error()));
    const std::lock_guard lock(workers_mutex_);
    workers_.push_back(*std::move(worker));
    workers_.back()->post([worker = workers_.back().get(), overrides = log_control_.overrides()] {
      worker->set_log_levels(overrides);
    });
    if (running_) workers_.back()->start();
  }
  return {};
}

// Prepares everything first, so that what fails changes nothing; then hands it to the workers.
Result<void> Supervisor::adopt(std::shared_ptr<const Snapshot> snapshot) {
  const std::size_t count = worker_count(snapshot->config);
  if (auto made = make_workers(count); !made) return tl::unexpected(std::move(made.error()));
  auto plan = sockets_.plan(snapshot->config, count);
  if (!plan) return tl::unexpected(std::move(plan.error()));
  const bool offloads = needs_offload(*snapshot);
  std::vector<std::shared_ptr<WorkerSnapshot>> prepared;
  for (std::size_t i = 0; i < count; ++i) {
    std::shared_ptr<const LibraryContext> offload;
    if (offloads) {
      auto library = workers_[i]->offload_library();
      if (!library) return tl::unexpected(std::move(library.error()));
      offload = *std::move(library);
    }
    auto one =
        WorkerSnapshot::prepare(snapshot, workers_[i]->index(), workers_[i]->library(), offload, registry_);
    if (!one) return tl::unexpected(std::move(one.error()));
    prepared.push_back(*std::move(one));
  }
  std::set<std::string> fresh;
  for (const auto& [key, sockets] : plan->opened) {
    if (!sockets.empty() && sockets.front()) fresh.insert(key.first);
  }
  ListeningSockets::Changes changes = sockets_.commit(*std::move(plan), count);
  for (std::size_t i = 0; i < count; ++i) {
    Worker* worker = workers_[i].get();
    auto sockets = std::make_shared<std::vector<BoundSocket>>(std::move(changes.listen[i]));
    worker->post([worker, snapshot = prepared[i], access = snapshot->config.log.access, sockets,
                  close = changes.close]() mutable {
      worker->adopt(std::move(snapshot), access);
      for (const auto& [listener, bind] : close) worker->close_socket(listener, bind);
      for (auto& socket : *sockets) worker->listen(std::move(socket));
    });
  }
  retire_workers_beyond(count);
  snapshot_ = std::move(snapshot);
  if (running_) log_listening(fresh);
  return {};
}

void Supervisor::retire_workers_beyond(std::size_t count) {
  const std::lock_guard lock(workers_mutex_);
  while (workers_.size() > count) {
    Worker* worker = workers_.back().get();
    worker->post([worker] { worker->stop_accepting(""); });
    retired_.push_back(std::move(workers_.back()));
    workers_.pop_back();
  }
}

void Supervisor::start() {
  for (auto& worker : workers_) worker->start();
  follow_backends();
  publish_start();
}

void Supervisor::publish_start() {
  running_ = true;
  std::set<std::string> all;
  for (const auto& listener : snapshot_->config.listeners) all.insert(listener.name);
  log_listening(all);
}

void Supervisor::log_listening(const std::set<std::string>& listeners) {
  for (const std::string& listener : listeners) {
    for (const auto& address : sockets_.addresses(listener)) {
      log_.info("listening", {{"listener", listener}, {"address", address.text()}});
    }
  }
}

// What comes before the loop runs waits for it.
void Supervisor::watch_signals() {
  const auto on = [this](int signal, std::function<void()> act) {
    signals_.push_back(std::make_unique<SignalWatcher>(loop_, signal, std::move(act)));
  };
  on(SIGHUP, [this] {
    if (auto reopened = log_.reopen(); !reopened) log_.warn(reopened.error().what);
    static_cast<void>(request_reload());
  });
  on(SIGTERM, [this] { on_signal_term(); });
  on(SIGINT, [this] { cut(); });
  on(SIGUSR2, [this] { upgrade(); });
  on(SIGQUIT, [this] {
    write_state(log_, status_report(registry_, board_.copy()),
                [this](const auto& ask) { return ask_workers(ask); });
  });
}

int Supervisor::run() {
  tick();
  systemd::notify_ready("serving");
  loop_.run();
  block_process_signals();  // whatever they ask for now is under way
  successor_.reset();
  log_.info("ended");
  return 0;
}

void Supervisor::watch_files(const config::Config& config) {
  const auto watched = watched_files(config, settings_.config_file);
  files_->watch(watched.files, watched.entries);
}

void Supervisor::follow_backends() {
  if (!resolver_) {
    resolver_ = std::make_unique<Resolver>(
        Resolver::Options{}, [this](const std::string& host, const Result<std::vector<Address>>& found) {
          if (found) return directory_.publish(host, *found);
          log_.warn("a backend's name does not resolve", {{"host", host}, {"error", found.error().what}});
        });
  }
  const auto hosts = directory_.host_names();
  if (auto followed = resolver_->follow(hosts); !followed) log_.error(followed.error().what);
  if (!hosts.empty() && !resolver_->wait_for_first_answers(kNamesPatience)) {
    log_.warn("some backends' names are not resolved yet: their connections are refused until they are");
  }
  if (!health_) {
    health_ = std::make_unique<HealthChecker>(HealthChecker::Options{
        .open_tls = [this](const BackendGroup& group, const Server& server,
                           Fd connected) { return health_tls_->open(group, server, std::move(connected)); },
        .on_change = [this](const HealthChange& change) { log_health(change, log_); },
        .seed = std::random_device()()});
  }
  health_tls_->follow(snapshot_);
  std::vector<std::shared_ptr<const BackendGroup>> groups;
  for (const auto& [name, backend] : snapshot_->backends) groups.push_back(backend.group);
  if (auto watching = health_->watch(std::move(groups)); !watching) log_.error(watching.error().what);
}

// Waits only so long: the main thread may be reloading.
Outcome Supervisor::on_main_thread(std::function<Outcome()> act) {
  auto outcome = std::make_shared<std::promise<Outcome>>();
  auto told = outcome->get_future();
  inbox_.post([act = std::move(act), outcome] { outcome->set_value(act()); });
  if (told.wait_for(kMainPatience) == std::future_status::ready) return told.get();
  return {Outcome::Verdict::kDone, "it will be done when the reload at hand is over", {}};
}

Outcome Supervisor::request_log_level(const LogLevelRequest& request) {
  return on_main_thread([this, request] { return change_log_level(request); });
}

Outcome Supervisor::change_log_level(const LogLevelRequest& request) {
  const auto& listeners = snapshot_->config.listeners;
  const bool known =
      request.listener.empty() ||
      std::ranges::find(listeners, request.listener, &config::Listener::name) != listeners.end();
  if (!known) return {Outcome::Verdict::kNotFound, "no listener is called " + request.listener, {}};
  return log_control_.ask(request);
}

Outcome Supervisor::request_drain(const DrainRequest& request) {
  return on_main_thread([this, request] { return drain_part(request); });
}

void Supervisor::on_signal_term() {
  if (is_draining()) return cut();
  begin_drain(snapshot_->config.drain_deadline);
}

void Supervisor::cut() {
  ask_workers([](Worker& worker) {
    worker.stop_accepting("");
    worker.end_all(CloseReason::kCut);
  });
  loop_.stop();
}

void Supervisor::tick() {
  const TimePoint now = Clock::now();
  for (auto& worker : workers_) worker->ping();
  report_busy_ratios(registry_, busy_before_us_, now - std::exchange(ticked_, now), board_);
  log_control_.step(now);
  memory_of_connections_.step(connections());
  memory_of_handshakes_.step(handshakes_in_progress());
  board_.update([&](ProcessState& state) {
    state.log_lines_dropped = log_.dropped();
    state.log_level = name(log_.level());
    state.log_overrides = log_control_.reports();
    report_servers(*snapshot_, state);
  });
  if (canaries_.step(now, std::chrono::system_clock::now())) publish_snapshot();
  feed_watchdog();
  end_retired_workers();
  if (is_draining() || !drains_.empty()) drain_step();
  ticker_.set(now + (is_draining() || !drains_.empty() ? kTick / 10 : kTick));
}

// Those that have ended may be asked something meanwhile: who asks has a share of them.
void Supervisor::end_retired_workers() {
  std::vector<std::shared_ptr<Worker>> ended;
  {
    const std::lock_guard lock(workers_mutex_);
    const auto empty =
        std::ranges::stable_partition(retired_, [](const auto& one) { return !one->is_empty(); });
    ended.assign(std::make_move_iterator(empty.begin()), std::make_move_iterator(empty.end()));
    retired_.erase(empty.begin(), empty.end());
  }
  for (const auto& worker : ended) worker->stop();
}

void Supervisor::feed_watchdog() {
  if (systemd::watchdog_interval() && loops_turn().ok) systemd::feed_watchdog();
}

Health Supervisor::loops_turn() const {
  const std::lock_guard lock(workers_mutex_);
  for (const auto& worker : workers_) {
    if (Clock::now() - worker->last_answer() > kLoopPatience) {
      return {false, "worker " + std::to_string(worker->index()) + " has not answered for 10 s"};
    }
  }
  return {};
}

std::size_t Supervisor::ask_workers(const std::function<void(Worker&)>& ask) {
  std::vector<std::shared_ptr<Worker>> all;
  {
    const std::lock_guard lock(workers_mutex_);
    all = workers_;
    all.insert(all.end(), retired_.begin(), retired_.end());
  }
  std::vector<std::future<void>> answers;
  for (auto& worker : all) {
    auto answered = std::make_shared<std::promise<void>>();
    answers.push_back(answered->get_future());
    worker->post([worker = worker.get(), ask, answered] {
      ask(*worker);
      answered->set_value();
    });
  }
  const TimePoint patience = Clock::now() + kAskPatience;
  for (auto& answer : answers) answer.wait_until(patience);
  return answers.size();
}

}  // namespace headgate
