#include "supervisor/supervisor.h"

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <utility>

#include "base/exit_code.h"
#include "base/thread_signals.h"
#include "supervisor/board_report.h"
#include "supervisor/certificates_in_use.h"
#include "supervisor/descriptors.h"
#include "supervisor/foreign_addresses.h"
#include "supervisor/privileges.h"
#include "supervisor/sandbox.h"
#include "supervisor/state_dump.h"
#include "supervisor/systemd.h"
#include "supervisor/unreadable_files.h"
#include "supervisor/watched_files.h"
#include "supervisor/writable_directories.h"
#include "tls/library/library_context.h"

namespace headgate {
namespace {

constexpr Duration kTick = std::chrono::milliseconds(500);
/// Longer than the main thread lets any caller wait for the workers.
constexpr Duration kMainPatience = std::chrono::seconds(5);

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
    supervisor->upgrade_.refuse(joined(failure->messages));
    return tl::unexpected(std::move(*failure));
  }
  return supervisor;
}

Supervisor::Supervisor(Settings settings, Log& log)
    : settings_(std::move(settings)),
      log_(log),
      inbox_(loop_),
      sockets_({}),
      workers_(loop_, inbox_, log, registry_),
      log_control_(log, [this](const auto& overrides) { workers_.set_log_levels(overrides); }),
      ticker_(loop_, this, Timer::Calls<[](void* self) { static_cast<Supervisor*>(self)->tick(); }>()),
      reloader_({inbox_, log, board_, registry_, directory_, sockets_, workers_}, site_of_reloader()),
      upgrade_({inbox_, log, board_, registry_, sockets_, workers_}, site_of_upgrade(), Predecessor::find()) {
}

Reloader::Site Supervisor::site_of_reloader() {
  return {.load = settings_.load,
          .included =
              [this](const std::vector<std::string>& include) {
                include_ = include;
                watch_files(reloader_.in_force() ? config() : config::Config());
              },
          .loaded = [this](const config::Config& config) { watch_files(config); },
          .refusal = [this] { return std::string(is_draining() ? "the process is draining" : ""); },
          .adopted = [this](const std::shared_ptr<const Snapshot>& snapshot,
                            std::function<void()> known) { adopted(snapshot, std::move(known)); }};
}

Upgrade::Site Supervisor::site_of_upgrade() {
  return {.program = settings_.program.path,
          .start = [program = settings_.program](int socket) { return start_successor(program, socket); },
          .layers = [this] { return layers_; },
          .refusal = [this]() -> std::optional<Upgrade::Refusal> {
            if (is_draining()) return Upgrade::Refusal{"the process is draining"};
            if (!is_serving()) return Upgrade::Refusal{"the process does not serve yet"};
            return std::nullopt;
          },
          .certificates = [this] { return certificates_to_leave(*reloader_.in_force()); },
          .still_wanted = [this] { return !is_draining(); },
          .handed_over = [this] { drain_all(config().drain_deadline, Worker::Waiting::kLeave); }};
}

std::optional<Supervisor::StartFailure> Supervisor::prepare() {
  const auto cannot_start = [](const Error& error) { return StartFailure{kExitCannotStart, {error.what}}; };
  auto inherited = upgrade_.inherited_sockets();
  if (!inherited) return cannot_start(inherited.error());
  sockets_ = ListeningSockets(std::move(inherited->sockets));
  if (auto raised = raise_descriptor_limit(); !raised) log_.warn(raised.error().what);
  descriptors_.make();
  auto backends = BackendWatch::make(loop_, inbox_, directory_, log_, {});
  if (!backends) return cannot_start(backends.error());
  backends_ = *std::move(backends);
  files_ = std::make_unique<FileWatch>(loop_, [this](const std::vector<std::string>& changed) {
    if (is_draining()) return;  // what a drain still serves does not change any more
    log_.info("files changed: reloading",
              {{"first", changed.front()}, {"files", static_cast<std::int64_t>(changed.size())}});
    reloader_.files_changed(changed);
  });
  watch_files({});
  if (auto begun = reloader_.begin(inherited_certificates(inherited->certificates)); !begun) {
    const auto& fault = begun.error();
    return StartFailure{fault.is_of_configuration ? kExitConfiguration : kExitCannotStart, fault.messages};
  }
  log_control_.configure(config().log.level);
  if (auto failure = confine()) return failure;
  board_.update([&](ProcessState& state) {
    state.version = HEADGATE_VERSION;
    state.openssl = LibraryContext::version();
    state.config_file = settings_.config_file;
    state.started = std::chrono::system_clock::now();
    state.reload.last_success = state.started;
  });
  // This comes before the admin endpoint says that the process is ready: from then on, others look at it and
  // send it signals.
  canaries_.follow(*reloader_.in_force());
  publish_snapshot();
  certificate_watch_.follow(reloader_.in_force(), std::chrono::system_clock::now());
  watch_signals();
  return has_predecessor() ? inherit() : std::nullopt;
}

std::optional<Supervisor::StartFailure> Supervisor::confine() {
  const uid_t user_before = ::geteuid();
  const KeptRight kept =
      user_of_foreign_addresses(config()) ? KeptRight::kForeignAddresses : KeptRight::kNone;
  if (auto dropped = drop_privileges(config().user, config().group, kept); !dropped)
    return StartFailure{kExitCannotStart, {dropped.error().what}};
  if (::geteuid() != user_before) {
    for (const auto& file : unreadable_files(config(), config_files()))
      log_.warn(consequence_of_unreadable(config(), file));
  }
  layers_ = upgrade_.inherited_layers();
  if (config().sandbox) {
    keep_memory_private();  // again: a change of the user undoes it
    if (auto alone = check_that_no_other_thread_runs(); !alone)
      return StartFailure{kExitCannotStart, {alone.error().what}};
    SandboxReport report = enter_sandbox(writable_directories(config(), log_.file()), layers_);
    for (const auto& failure : report.failures) log_.warn(failure);
    layers_ = std::move(report.layers);
  }
  if (auto started = log_.start_thread(); !started)
    return StartFailure{kExitCannotStart, {started.error().what}};
  return std::nullopt;
}

// The names come first, while the other process serves, because a worker's first turn may bring connections.
// The loop turns meanwhile, so a signal can end this process.
std::optional<Supervisor::StartFailure> Supervisor::inherit() {
  bool known = false;
  backends_->follow(reloader_.in_force(), [this, &known] {
    known = true;
    loop_.stop();
  });
  if (!known) loop_.run();
  if (!known) return StartFailure{kExitCannotStart, {"the process is asked to end"}};
  if (auto inherits = upgrade_.inherit(*reloader_.in_force()); !inherits)
    return StartFailure{kExitCannotStart, {inherits.error().what}};
  return std::nullopt;
}

void Supervisor::start() {
  sockets_.apply_all(log_);
  backends_->follow(reloader_.in_force(), [this] { serve(); });
}

void Supervisor::serve() {
  if (accepting_stopped_) return;
  if (auto started = workers_.start(); !started) {
    log_.error(started.error().what);
    exit_code_ = kExitCannotStart;
    return inbox_.post([this] { loop_.stop(); });
  }
  publish_start();
}

Result<void> Supervisor::take_over() {
  auto taken = upgrade_.take_over();
  if (taken) publish_start();
  return taken;
}

// The loop tells systemd, so that every step before run() is done first.
void Supervisor::publish_start() {
  serving_ = true;
  for (const auto& listener : config().listeners) {
    for (const auto& address : sockets_.addresses(listener.name)) {
      log_.info("listening", {{"listener", listener.name}, {"address", address.text()}});
    }
  }
  inbox_.post([] { systemd::notify_ready("serving"); });
}

// Events from before run() wait for the loop.
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
  on(SIGUSR2, [this] { upgrade_.begin(); });
  on(SIGQUIT, [this] { write_state(log_, status_report(registry_, board_.copy()), workers_); });
}

// A caller under way hears of the end of the loop before this thread waits for the upgrade's thread: that
// thread may wait for a caller that waits for a reload.
int Supervisor::run() {
  tick();
  loop_.run();
  block_process_signals();  // the requests of signals are under way now
  reloader_.end();
  upgrade_.cancel();
  log_.info("process ended");
  return exit_code_;
}

void Supervisor::watch_files(const config::Config& config) {
  const auto watched = watched_files(config, config_files());
  files_->watch(watched.files, watched.entries);
}

void Supervisor::adopted(const std::shared_ptr<const Snapshot>& snapshot, std::function<void()> known) {
  log_control_.configure(snapshot->config.log.level);
  canaries_.follow(*snapshot);
  publish_snapshot();
  certificate_watch_.follow(snapshot, std::chrono::system_clock::now());
  backends_->follow(snapshot, std::move(known));
}

bool Supervisor::admits(std::string_view token) const {
  const std::lock_guard lock(admin_token_mutex_);
  return admin_token_ == nullptr || admin_token_->is(token);
}

void Supervisor::publish_snapshot() {
  {
    const std::lock_guard lock(admin_token_mutex_);
    admin_token_ = reloader_.in_force()->admin_token;
  }
  board_.update([&](ProcessState& state) { report_snapshot(*reloader_.in_force(), sockets_, state); });
}

// Waits for a bounded time, because the main thread may be busy with a long step.
Outcome Supervisor::on_main_thread(std::function<void(Tell)> act) {
  auto outcome = std::make_shared<std::promise<Outcome>>();
  auto told = outcome->get_future();
  inbox_.post([act = std::move(act), outcome] {
    act([outcome](Outcome known) { outcome->set_value(std::move(known)); });
  });
  if (told.wait_for(kMainPatience) == std::future_status::ready) return told.get();
  return {Outcome::Verdict::kUnderWay, "it will be done when the main thread has time for it", {}};
}

Outcome Supervisor::request_log_level(const LogLevelRequest& request) {
  return on_main_thread([this, request](const Tell& tell) { change_log_level(request, tell); });
}

// Tells the outcome when the workers have the levels: they answer in the order in which they are asked.
void Supervisor::change_log_level(const LogLevelRequest& request, const Tell& tell) {
  const auto& listeners = config().listeners;
  const bool known =
      request.listener.empty() ||
      std::ranges::find(listeners, request.listener, &config::Listener::name) != listeners.end();
  if (!known) return tell({Outcome::Verdict::kNotFound, "no listener is called " + request.listener, {}});
  const Outcome outcome = log_control_.ask(request);
  workers_.ask([](Worker&) {}, [tell, outcome](Workers::Heard) { tell(outcome); });
}

Outcome Supervisor::request_drain(const DrainRequest& request) {
  return on_main_thread([this, request](Tell tell) { drain_part(request, std::move(tell)); });
}

void Supervisor::on_signal_term() {
  if (is_draining()) return cut();
  begin_drain(config().drain_deadline);
}

void Supervisor::cut() {
  if (!is_serving()) return loop_.stop();
  const Workers::LongWork cut_all = [](Worker& worker, std::function<void()> done) {
    worker.stop_accepting("", Worker::Waiting::kLeave);
    worker.cut_all(std::move(done));
  };
  workers_.ask(cut_all, [this](Workers::Heard) { loop_.stop(); });
}

void Supervisor::return_memory(TimePoint now) {
  memory_of_connections_.step(connections());
  memory_of_handshakes_.step(handshakes_in_progress());
  const bool is_near = reloader_.in_force()->counters->is_near(config().limits.max_memory, now);
  if (is_near && !is_near_memory_limit_)
    log_.warn("near limits.max_memory: new connections are refused, and established ones go on");
  if (!is_near && is_near_memory_limit_) log_.info("no longer near limits.max_memory");
  is_near_memory_limit_ = is_near;
  memory_near_limit_.step(is_near, now);
}

void Supervisor::tick() {
  const TimePoint now = Clock::now();
  workers_.tick(now);
  report_busy_ratios(registry_, busy_before_us_, now - std::exchange(ticked_, now), board_);
  log_control_.step(now);
  return_memory(now);
  board_.update([&](ProcessState& state) {
    state.log_lines_dropped = log_.dropped();
    state.log_level = name(log_.level());
    state.log_overrides = log_control_.reports();
    report_servers(*reloader_.in_force(), state);
  });
  const WallTime wall_now = std::chrono::system_clock::now();
  if (canaries_.step(now, wall_now)) publish_snapshot();
  certificate_watch_.step(wall_now);
  history_.step(now, wall_now);
  descriptors_.grow_ahead();
  feed_watchdog();
  if (is_draining() || !drains_.empty()) drain_step();
  ticker_.set(now + (is_draining() || !drains_.empty() ? kTick / 10 : kTick));
}

Health Supervisor::serves_every_name() const {
  return board_.read([](const ProcessState& state) -> Health {
    const bool asked = state.ready_needs_every_name && !state.unserved_name.empty();
    return asked ? Health{false, state.unserved_name} : Health{};
  });
}

void Supervisor::feed_watchdog() {
  if (systemd::watchdog_interval() && loops_turn().ok) systemd::feed_watchdog();
}

}  // namespace headgate
