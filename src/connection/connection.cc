#include "connection/connection.h"

#include <utility>

#include "base/out_of_memory.h"
#include "connection/access_log.h"
#include "connection/ending.h"
#include "connection/handshake_result.h"

namespace headgate {

// The memory that an idle connection costs in addition to its streams: raise this bound only on purpose.
static_assert(CellPool::cells_per_page(sizeof(Connection)) >= 9);

namespace {

/// Whether a client that was shown a certificate may have gone, or fallen silent, because of the certificate.
void count_for_canary(HandshakeTask& task, CloseReason reason, const ConnectionInfo& info) {
  const bool went = reason == CloseReason::kClientLeftInHandshake || reason == CloseReason::kHandshakeTimeout;
  if (went && task.began && task.canary_arm != nullptr) task.canary_arm->count_failed(info.client.network());
}

/// Returns the phase whose end the shutdown phase tells the peers of; empty where there is none.
std::string_view ended_phase(const Phase& phase) {
  const auto* shutdown = std::get_if<Shutdown>(&phase);
  return shutdown != nullptr && shutdown->ending ? shutdown->ending->began_in : std::string_view();
}

}  // namespace

Connection::Connection(Services& services, std::shared_ptr<WorkerSnapshot> snapshot, ListenerState& listener,
                       std::unique_ptr<Stream> client, ConnectionInfo info)
    : Connection(services, std::move(snapshot), listener,
                 Sides{.client = std::move(client), .backend = nullptr}, std::move(info), Phase(Accept{})) {}

Connection::Connection(Services& services, std::shared_ptr<WorkerSnapshot> snapshot, ListenerState& listener,
                       Sides sides, ConnectionInfo info, Relay relay)
    : Connection(services, std::move(snapshot), listener, std::move(sides), std::move(info),
                 Phase(std::move(relay))) {}

Connection::Connection(Services& services, std::shared_ptr<WorkerSnapshot> snapshot, ListenerState& listener,
                       Sides sides, ConnectionInfo info, Phase first)
    : services_(services),
      snapshot_(std::move(snapshot)),
      listener_(listener),
      info_(std::move(info)),
      sides_(std::move(sides)),
      phase_(std::move(first)),
      client_watcher_(services.loop, this, IoWatcher::Calls<&Connection::client_ready>()),
      backend_watcher_(services.loop, this, IoWatcher::Calls<&Connection::backend_ready>()),
      timer_(services.loop, this, Timer::Calls<&Connection::timer_fired>()) {
  listener_.metrics->active.add();
}

Connection::~Connection() {
  listener_.metrics->active.sub();
}

void Connection::resume() {
  ready_ = {.client = Interest::kBoth, .backend = Interest::kBoth};
  drive();
}

void Connection::take_turn() {
  drive();
}

void Connection::permit_granted() {
  drive();
}

void Connection::operation_finished(Duration cpu) {
  if (buried_) return;
  if (auto* handshake = std::get_if<Handshake>(&phase_)) {
    HandshakeTask& task = *handshake->task;
    task.awaits_operation = false;
    task.spent += cpu;
    task.times.cpu += cpu;
  }
  drive();
}

// The name is the snapshot's, which outlives the call.
CrashTag Connection::crash_tag() const {
  return {listener_.policy->config.name.c_str(), info_.id};
}

void Connection::flush_held_back() {
  // A quiescent connection hands over the bytes that it holds back: sent here too, they would arrive twice.
  if (quiescent_ || !sides_.client || !sides_.client->holds_back()) return;
  const CrashTag tag = crash_tag();
  const bool had_memory = done_unless_out_of_memory([this] {
    if (sides_.client->flush() == IoStatus::kWantWrite) resume();
  });
  if (!had_memory) end_for_lack_of_memory();
}

void Connection::end(CloseReason reason, std::string_view detail) {
  if (buried_ || quiescent_) return;
  const CrashTag tag = crash_tag();
  if (auto* shutdown = std::get_if<Shutdown>(&phase_)) {
    hasten(*shutdown, {*this, sides_, info_, services_, *snapshot_, listener_, ready_});
    return drive();
  }
  static_cast<void>(done_unless_out_of_memory([&] {
    if (!detail.empty()) info_.detail = detail;
  }));
  begin_end(reason, cause_of(reason, info_.failure));
}

void Connection::end_at_rest(CloseReason reason) {
  if (buried_ || quiescent_) return;
  const CrashTag tag = crash_tag();
  begin_end(reason, EndCause::kAtRest);
}

bool Connection::is_delivered() const {
  return bytes_left(sides_) == 0;
}

void Connection::quiesce() {
  quiescent_ = true;
  client_watcher_.watch(Interest::kNone);
  backend_watcher_.watch(Interest::kNone);
  timer_.stop();
}

void Connection::wake() {
  quiescent_ = false;
  const bool holds_back = sides_.client->holds_back();
  const bool had_memory =
      !holds_back || done_unless_out_of_memory([this] { services_.host.flush_soon(*this); });
  if (!had_memory) return end_for_lack_of_memory();
  resume();
}

void Connection::release() {
  buried_ = true;
  close_reason_ = CloseReason::kMoved;
  client_watcher_.attach(-1);
  backend_watcher_.attach(-1);
  timer_.stop();
  count_end(CloseReason::kMoved);
  services_.host.bury(*this);
}

void Connection::client_ready(void* self, Interest ready) {
  auto* connection = static_cast<Connection*>(self);
  connection->ready_.client = connection->ready_.client | ready;
  if (ready == Interest::kNone) return connection->end_unwatched();
  if (!connection->is_newcomer()) return connection->drive();
  // Without memory for the queue it takes its turn at once.
  const bool queued =
      done_unless_out_of_memory([&] { connection->services_.host.call_in_turn(*connection); });
  if (!queued) connection->drive();
}

// Any address can open thousands of connections and make them all ready at once, as long as they need not be
// established. Established ones must not wait for that.
bool Connection::is_newcomer() const {
  if (const auto* shutdown = std::get_if<Shutdown>(&phase_)) return shutdown->ending == nullptr;
  return !std::holds_alternative<Relay>(phase_) && !std::holds_alternative<Connect>(phase_);
}

void Connection::backend_ready(void* self, Interest ready) {
  auto* connection = static_cast<Connection*>(self);
  connection->ready_.backend = connection->ready_.backend | ready;
  if (ready == Interest::kNone) return connection->end_unwatched();
  connection->drive();
}

void Connection::end_unwatched() {
  if (buried_ || quiescent_) return;
  const CrashTag tag = crash_tag();
  break_off(CloseReason::kInternal, "the kernel cannot watch another socket");
}

void Connection::timer_fired(void* self) {
  static_cast<Connection*>(self)->deadline_passed();
}

// A deadline may have moved since the timer was set: bytes have come, or the phase has changed.
void Connection::deadline_passed() {
  if (buried_ || quiescent_) return;
  const CrashTag tag = crash_tag();
  Context context{*this, sides_, info_, services_, *snapshot_, listener_, ready_};
  const TimePoint now = services_.host.now();
  const TimePoint due = deadline(phase_, context);
  if (due > now) return timer_.set(due);
  const auto reason = timed_out(phase_, context, now);
  if (!reason) return drive();
  const bool idle = *reason == CloseReason::kIdleTimeout || *reason == CloseReason::kHalfCloseTimeout;
  begin_end(*reason, idle && is_delivered() ? EndCause::kAtRest : cause_of(*reason, info_.failure));
}

// Runs phases until one has to wait or the connection ends. Only this function changes the phase, and a
// callback calls it as its last act: when it returns, this connection may already be buried.
void Connection::drive() {
  if (buried_ || quiescent_) return;
  const CrashTag tag = crash_tag();
  if (!done_unless_out_of_memory([this] { take_steps(); })) end_for_lack_of_memory();
}

// Whatever step memory is missing for, the phase still owns all that it had, and is destroyed with it.
void Connection::end_for_lack_of_memory() {
  break_off(CloseReason::kInternal, "out of memory");
}

void Connection::take_steps() {
  for (;;) {
    Context context{*this, sides_, info_, services_, *snapshot_, listener_, std::exchange(ready_, {})};
    Step next = std::visit([&context](auto& phase) { return step(phase, context); }, phase_);
    if (auto* wait = std::get_if<Wait>(&next)) return arm(*wait);
    if (auto* close = std::get_if<Close>(&next)) return close_for(close->reason);
    if (auto* offload = std::get_if<Offload>(&next)) {
      services_.host.offload(*this, std::move(offload->operation));
      return arm(offload->wait);
    }
    enter(std::get<Phase>(std::move(next)));
  }
}

void Connection::enter(Phase next) {
  phase_ = std::move(next);
  write_phase_line(services_, listener_, info_, name(phase_), services_.host.now());
}

void Connection::arm(const Wait& wait) {
  waiting_ = wait;
  watch_descriptors();
  client_watcher_.watch(wait.client);
  backend_watcher_.watch(wait.backend);
  const Context context{*this, sides_, info_, services_, *snapshot_, listener_, ready_};
  timer_.set(deadline(phase_, context));
}

PhaseDescriptors Connection::descriptors() const {
  PhaseDescriptors all = headgate::descriptors(phase_);
  if (sides_.client) all.client = sides_.client->descriptor();
  if (sides_.backend) all.backend = sides_.backend->descriptor();
  return all;
}

void Connection::watch_descriptors() {
  const auto [client, backend] = descriptors();
  if (client != client_watcher_.descriptor()) client_watcher_.attach(client);
  if (backend != backend_watcher_.descriptor()) backend_watcher_.attach(backend);
}

// A relay closes by itself when both directions have ended, and has told its peers then.
void Connection::close_for(CloseReason reason) {
  if (std::holds_alternative<Relay>(phase_)) return finish(reason);
  begin_end(reason, cause_of(reason, info_.failure));
}

// The handshake is counted by the phase that ended.
void Connection::begin_end(CloseReason reason, EndCause cause) {
  bool has_begun = false;
  const bool had_memory = done_unless_out_of_memory([&] {
    Context context{*this, sides_, info_, services_, *snapshot_, listener_, {}};
    auto ending = end_for(cause, reason, phase_, context);
    if (!ending) return;
    static_cast<void>(done_unless_out_of_memory([&] { count_handshake(reason); }));
    enter(*std::move(ending));
    has_begun = true;
  });
  if (!had_memory) return break_off(reason, {});
  if (!has_begun) return finish(reason);
  drive();
}

// The peers cannot be told why, but neither may take this for the end of the other.
void Connection::break_off(CloseReason reason, std::string_view detail) {
  if (sides_.client && !sides_.client->is_tls()) sides_.client->reset_on_close();
  if (sides_.backend) sides_.backend->reset_on_close();
  finish(reason, detail);
}

void Connection::finish(CloseReason reason, std::string_view detail) {
  buried_ = true;
  close_reason_ = reason;
  timer_.stop();
  client_watcher_.attach(-1);
  backend_watcher_.attach(-1);
  // The count of the end needs no memory. Without memory the end is not recorded, or not logged.
  static_cast<void>(done_unless_out_of_memory([&] {
    if (!detail.empty()) info_.detail = detail;
  }));
  static_cast<void>(done_unless_out_of_memory([&] {
    if (ended_phase(phase_).empty()) count_handshake(reason);
  }));
  count_end(reason);
  static_cast<void>(done_unless_out_of_memory([&] { log_end(reason); }));
  phase_.emplace<Shutdown>(Shutdown{reason});  // frees what the phase held: its place in a queue, its server
  services_.host.bury(*this);
}

void Connection::count_end(CloseReason reason) {
  ListenerMetrics& metrics = *listener_.metrics;
  metrics.closed[static_cast<std::size_t>(reason)].add();
  metrics.connection_duration.observe(services_.host.now() - info_.accepted);
}

void Connection::count_handshake(CloseReason reason) {
  ListenerMetrics& metrics = *listener_.metrics;
  // The client's handshake was counted before, when it had ended well.
  const bool counted = std::holds_alternative<Connect>(phase_) || std::holds_alternative<Relay>(phase_);
  if (const auto* handshake = std::get_if<Handshake>(&phase_))
    count_for_canary(*handshake->task, reason, info_);
  if (listener_.tls.empty() || counted) return;
  if (const auto result = count_handshake_end(metrics, info_, reason)) {
    // Before the PROXY header the client is not known, and a proxy may keep spare connections.
    if (!std::holds_alternative<ProxyIn>(phase_))
      count_for_penalties(listener_, info_, *result, services_.host.now());
    record_handshake_end(services_.recorder, listener_.policy->config.name, info_, *result, phase_,
                         services_.host.now());
  }
}

void Connection::log_end(CloseReason reason) {
  const std::string_view ended = ended_phase(phase_);
  write_access_line(services_, listener_, info_, ended.empty() ? name(phase_) : ended, reason,
                    services_.host.now());
}

}  // namespace headgate
