#include <utility>

#include "connection/connection.h"
#include "connection/phase.h"

namespace headgate {
namespace {

/// Takes the queue's time and the peer's into account, as far as this wake-up ends one of them.
void account_for_waiting(HandshakeTask& task, TimePoint now) {
  if (task.waiting_since == TimePoint{}) return;
  (task.place.turn.granted ? task.times.queue : task.times.peer_wait) += now - task.waiting_since;
  task.waiting_since = {};
}

/// The first step costs a key exchange and a signature: it waits for its turn. What follows is cheap, and
/// whoever has got so far goes on at once.
bool must_queue(const HandshakeTask& task) {
  return task.first_step && !task.place.turn.granted && !task.beside_finished;
}

IoStatus run_step(HandshakeTask& task, Context& context) {
  if (std::exchange(task.beside_finished, false)) {
    context.services.transport.attach(*context.sides.client);
    const bool waits = task.beside_status != IoStatus::kFailed && !context.sides.client->holds_back();
    if (waits && context.sides.client->flush() == IoStatus::kFailed) return IoStatus::kFailed;
    return task.beside_status;
  }
  const TimePoint begin = context.services.host.now();
  const IoStatus status = context.sides.client->handshake();
  task.times.cpu += context.services.host.now() - begin;
  return status;
}

void count_negotiated(const HandshakeTask& task, Context& context) {
  const TlsInfo& tls = *context.info.tls;
  ListenerMetrics& metrics = *context.listener.metrics;
  context.listener.negotiated
      .of(metrics.negotiated, tls.version.view(), tls.group.view(), tls.cipher.view(), tls.key_type.view())
      .add();
  const HandshakeTimes& times = task.times;
  const auto observe = [&](HandshakePhase phase, Duration time) {
    metrics.handshake_duration[static_cast<std::size_t>(phase)][tls.resumed ? 1 : 0].observe(time);
  };
  observe(HandshakePhase::kTotal, context.services.host.now() - context.info.accepted);
  observe(HandshakePhase::kQueue, times.queue);
  observe(HandshakePhase::kCpu, times.cpu);
  observe(HandshakePhase::kPeerWait, times.peer_wait);
}

/// Whether a handshake may have failed because of the certificate that was shown: the client says so by an
/// alert or by going, or cannot use the key.
bool may_be_the_certificates_fault(HandshakeFailure failure) {
  switch (failure) {
    case HandshakeFailure::kPeerAlert:
    case HandshakeFailure::kNoSharedCipher:
    case HandshakeFailure::kClientLeft:
    case HandshakeFailure::kInternal:
      return true;
    default:
      return false;
  }
}

Step done(HandshakeTask& task, Context& context) {
  if (task.group != nullptr) task.group->count_ok();
  context.services.transport.finish_accept(context.sides.client, context.listener, context.info);
  count_negotiated(task, context);
  task.times.total = context.services.host.now() - context.info.accepted;
  context.services.recorder.done(context.listener.policy->config.name, context.info, task.times, task.hello,
                                 context.services.host.now());
  if (context.sides.client->holds_back()) context.services.host.flush_soon(context.connection);
  return Phase(Authorize{});
}

Step failed(HandshakeTask& task, Context& context) {
  context.services.transport.explain_failure(*context.sides.client, context.info);
  task.times.total = context.services.host.now() - context.info.accepted;
  const FailureKind kind = context.sides.client->failure().kind;
  const bool left =
      kind == FailureKind::kReset || kind == FailureKind::kTruncated || kind == FailureKind::kTimedOut;
  if (left) {
    context.info.failure = HandshakeFailure::kClientLeft;
    return Close{CloseReason::kClientLeftInHandshake};
  }
  context.services.recorder.failed(context.listener.policy->config.name, context.info,
                                   HandshakeResult::kFailed, task.times, task.hello);
  if (task.group != nullptr && may_be_the_certificates_fault(context.info.failure))
    task.group->count_failed();
  return Phase(Shutdown{CloseReason::kHandshakeFailed});
}

}  // namespace

Step step(Handshake& phase, Context& context) {
  HandshakeTask& task = *phase.task;
  if (task.running_beside) return Wait{};
  account_for_waiting(task, context.services.host.now());
  if (must_queue(task)) {
    task.waiting_since = context.services.host.now();
    context.services.turns.request(task.place.turn);
    return Wait{};
  }
  if (task.place.turn.beside_the_loop && !task.beside_finished) {
    task.running_beside = true;
    context.services.transport.detach(*context.sides.client);
    context.services.host.run_beside(context.connection, std::move(context.sides.client));
    return Wait{};
  }
  const IoStatus status = run_step(task, context);
  task.first_step = false;
  task.place.turn.granted = false;
  switch (status) {
    case IoStatus::kDone:
      return done(task, context);
    case IoStatus::kWantRead:
      task.waiting_since = context.services.host.now();
      return Wait{.client = Interest::kRead};
    case IoStatus::kWantWrite:
      task.waiting_since = context.services.host.now();
      return Wait{.client = Interest::kWrite};
    case IoStatus::kEnded:
      context.info.failure = HandshakeFailure::kClientLeft;
      return Close{CloseReason::kClientLeftInHandshake};
    case IoStatus::kFailed:
      return failed(task, context);
  }
  return Close{CloseReason::kInternal};
}

}  // namespace headgate
