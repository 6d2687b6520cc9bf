#include <algorithm>
#include <utility>

#include "supervisor/supervisor.h"
#include "supervisor/systemd.h"

/// The drains as the supervisor sees them: of the process and of its parts.
namespace headgate {
namespace {

/// A drain without time would cut those that it accepts.
Worker::Waiting waiting_in(Duration drain) {
  return drain.count() > 0 ? Worker::Waiting::kAccept : Worker::Waiting::kLeave;
}

}  // namespace

void Supervisor::drain_part(const DrainRequest& request, Tell tell) {
  const auto not_found = [&](const std::string& what, const std::string& name) {
    tell({Outcome::Verdict::kNotFound, "no " + what + " is called " + name, {}});
  };
  const Duration time = request.time.value_or(config().drain_deadline);
  const DrainScope scope{request.listener, request.backend, request.peer};
  const auto& listeners = config().listeners;
  const bool is_of_listener = !scope.listener.empty();
  if (is_of_listener &&
      std::ranges::find(listeners, scope.listener, &config::Listener::name) == listeners.end())
    return not_found("listener", scope.listener);
  if (!scope.backend.empty() && !reloader_.in_force()->backends.contains(scope.backend))
    return not_found("backend", scope.backend);
  if (!is_of_listener && scope.backend.empty() && scope.peer.empty()) {
    begin_drain(time);
    return tell({Outcome::Verdict::kDone, "draining", {}});
  }
  if (is_draining())
    return tell({Outcome::Verdict::kRefused, "the process is draining, with all its connections", {}});
  if (is_of_listener) sockets_.close(scope.listener);
  const auto also = [listener = scope.listener, waiting = waiting_in(time)](Worker& worker) {
    if (!listener.empty()) worker.stop_accepting(listener, waiting);
  };
  drains_.begin(scope, time, also, [this, is_of_listener, tell = std::move(tell)](const DrainReport& report) {
    drain_begun(report);
    tell({Outcome::Verdict::kDone,
          "draining " + report.what + ", " + std::to_string(report.at_start) + " connections" +
              (is_of_listener ? "; it accepts no more until the next reload" : ""),
          {}});
  });
}

// The process first becomes not ready: observers of its readiness get the time to notice before a client
// meets a closed port.
void Supervisor::begin_drain(Duration time) {
  if (draining_.exchange(true)) return;
  systemd::notify_stopping("draining");
  const auto accept_for = config().drain_accept_for;
  if (accept_for.count() == 0) return drain_all(time, waiting_in(time));
  still_accepting_ = StillAccepting{.until = Clock::now() + accept_for, .then_drain_for = time};
  log_.info("drain requested: /readyz is 503; new connections are still accepted",
            {{"for_ms", accept_for.count()}});
  board_.update(
      [&](ProcessState& state) { state.accepting_until = std::chrono::system_clock::now() + accept_for; });
  publish_drains();
  tick();
}

// Workers that have not started have no connections to drain and would not answer.
void Supervisor::drain_all(Duration time, Worker::Waiting waiting) {
  if (std::exchange(accepting_stopped_, true)) return;
  draining_ = true;
  still_accepting_.reset();
  if (!is_serving()) return loop_.stop();
  for (const auto& listener : config().listeners) sockets_.close(listener.name);
  drains_.begin(
      {}, time, [waiting](Worker& worker) { worker.stop_accepting("", waiting); },
      [this](const DrainReport& report) {
        nobody_accepts_ = true;
        drain_begun(report);
      });
}

void Supervisor::drain_begun(const DrainReport& report) {
  log_.info("draining", {{"what", report.what}, {"connections", static_cast<std::int64_t>(report.at_start)}});
  publish_drains();
  tick();
}

// The process ends with its last connection, whether that was open when the drain began or was being accepted
// then.
void Supervisor::drain_step() {
  drains_.step([this] { publish_drains(); });
  if (!is_draining()) return;
  if (still_accepting_) {
    if (Clock::now() < still_accepting_->until) return;
    return drain_all(still_accepting_->then_drain_for, waiting_in(still_accepting_->then_drain_for));
  }
  if (!nobody_accepts_) return;
  if (connections() == 0) return loop_.stop();
  if (drains_.empty())
    workers_.ask([](Worker& worker) { worker.end_all(CloseReason::kDrained); }, [](Workers::Heard) {});
}

void Supervisor::publish_drains() {
  board_.update([&](ProcessState& state) {
    state.draining = is_draining();
    state.drains = drains_.reports();
    state.drained_bytes = drains_.bytes();
    for (ListenerReport& listener : state.listeners)
      listener.draining = sockets_.addresses(listener.name).empty();
  });
}

std::uint64_t Supervisor::connections() const {
  std::uint64_t sum = 0;
  for (const auto& entry : registry_.listeners()) sum += entry.metrics->active.value();
  return sum;
}

std::uint64_t Supervisor::handshakes_in_progress() const {
  std::uint64_t sum = 0;
  for (const auto& entry : registry_.loops()) sum += entry.metrics->handshakes_in_progress.value();
  return sum;
}

}  // namespace headgate
