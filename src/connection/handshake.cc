#include <utility>

#include "connection/connection.h"
#include "connection/phase.h"
#include "net/socket.h"

namespace headgate {
namespace {

// A client that waited this long in the queue may have given up: asking the socket costs less than the next
// step.
constexpr Duration kMayHaveLeft = std::chrono::milliseconds(20);

/// Counts the time in the queue and the time of the peer, where this wake-up ends one of them.
void account_for_waiting(HandshakeTask& task, TimePoint now) {
  if (task.waiting_since == TimePoint{}) return;
  (task.request.granted ? task.times.queue : task.times.peer_wait) += now - task.waiting_since;
  task.waiting_since = {};
}

Wait as_interest(const ServerHandshake::Wait& wait) {
  return {.client = interest_if(wait.read, Interest::kRead) | interest_if(wait.write, Interest::kWrite)};
}

/// While a permit or an operation is awaited, the client still has to get the bytes that it has not got.
Wait until_client_writable(const HandshakeTask& task) {
  return {.client = interest_if(task.handshake->has_unsent(), Interest::kWrite)};
}

void wait_for_permit(HandshakeTask& task, Context& context) {
  task.waiting_since = context.services.host.now();
  task.request.ask(task.handshake->cost());
}

/// The CPU time of the permitted step, operations on another thread included.
void settle(HandshakeTask& task, Context& context) {
  if (task.spent == Duration{}) return;
  context.services.permits.learn(task.request.cost, std::exchange(task.spent, {}));
}

Step left(Context& context) {
  context.info.failure = HandshakeFailure::kClientLeft;
  return Close{CloseReason::kClientLeftInHandshake};
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

/// Counts a client that was let in although a policy of `tls.dry_run` would refuse it, by its ClientHello.
void count_dry_runs(const HandshakeTask& task, ListenerState& listener) {
  const std::vector<std::string>& policies = listener.policy->config.tls->dry_run;
  if (policies.empty()) return;
  const ClientHello hello = task.hello.kept();
  const auto count = [&](DryRunRefusal refusal) {
    listener.metrics->would_refuse[static_cast<std::size_t>(refusal)].add();
  };
  for (const std::string& policy : policies) {
    if (policy == "tls13_only" && tls13_only_would_refuse(hello)) count(DryRunRefusal::kTls13Only);
    if (policy == "pq_only" && pq_only_would_refuse(hello)) count(DryRunRefusal::kPqOnly);
  }
}

/// A resumed handshake signs nothing: it rests on the signatures of the first one.
void count_signatures(const NegotiatedInfo& negotiated, ListenerMetrics& metrics) {
  if (negotiated.resumed) return;
  constexpr std::string_view kNone = "none";
  const std::string_view ours = negotiated.signature_scheme, clients = negotiated.client_signature_scheme;
  metrics.signatures.of({ours.empty() ? kNone : ours, clients.empty() ? kNone : clients}).add();
}

/// Whether a handshake may have failed because of the certificate that was shown: the client sends an alert
/// or goes, or it cannot use the key.
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

void adopt(ServerHandshake::Accepted accepted, Context& context) {
  ConnectionInfo& info = context.info;
  ListenerMetrics& metrics = *context.listener.metrics;
  const NegotiatedInfo& negotiated = accepted.negotiated;
  info.tls = context.services.known_tls.find_or_add(
      {.version = InternedString(negotiated.version),
       .group = InternedString(negotiated.group),
       .cipher = InternedString(negotiated.cipher),
       .key_type = InternedString(accepted.key_type),
       .openssl_cipher = InternedString(negotiated.openssl_cipher),
       .signature_scheme = InternedString(negotiated.signature_scheme),
       .certificate_signature = InternedString(negotiated.certificate_signature),
       .key_algorithm = InternedString(accepted.key_algorithm),
       .resumed = negotiated.resumed});
  info.alpn = negotiated.alpn;
  info.protection = accepted.protection;
  info.peer = std::move(accepted.peer);
  if (accepted.retried) metrics.hello_retry_requests.add();
  count_signatures(negotiated, metrics);
  metrics
      .record_layer[static_cast<std::size_t>(accepted.protection)][static_cast<std::size_t>(accepted.reason)]
      .add();
  context.sides.client = std::move(accepted.stream);
}

Step act_on(HandshakeTask& task, ServerHandshake::Accepted accepted, Context& context) {
  if (task.canary_arm != nullptr) task.canary_arm->count_ok(context.info.client.network());
  Authorize authorize{std::move(accepted.would_refuse)};
  adopt(std::move(accepted), context);
  count_negotiated(task, context);
  count_dry_runs(task, context.listener);
  task.times.total = context.services.host.now() - context.info.accepted;
  context.services.recorder.done(context.listener.policy->config.name, context.info, task.times, task.hello,
                                 context.services.host.now());
  if (context.sides.client->holds_back()) context.services.host.flush_soon(context.connection);
  return Phase(std::move(authorize));
}

Step act_on(HandshakeTask& task, ServerHandshake::Refused refused, Context& context) {
  const bool gone = refused.kind == FailureKind::kReset || refused.kind == FailureKind::kTruncated ||
                    refused.kind == FailureKind::kTimedOut;
  if (gone) return left(context);
  context.info.failure = refused.failure;
  context.info.alert = static_cast<std::int16_t>(refused.alert);
  context.info.detail = refused.detail;
  context.sides.client = std::move(refused.stream);
  task.times.total = context.services.host.now() - context.info.accepted;
  context.services.recorder.failed(context.listener.policy->config.name, context.info,
                                   HandshakeResult::kFailed, task.times, task.hello);
  if (task.canary_arm != nullptr && may_be_the_certificates_fault(context.info.failure))
    task.canary_arm->count_failed(context.info.client.network());
  return Phase(Shutdown{CloseReason::kHandshakeFailed});
}

Step act_on(HandshakeTask& task, const ServerHandshake::Wait& wait, Context& context) {
  task.waiting_since = context.services.host.now();
  return as_interest(wait);
}

Step act_on(HandshakeTask& task, ServerHandshake::NeedsPermit, Context& context) {
  wait_for_permit(task, context);
  return until_client_writable(task);
}

Step act_on(HandshakeTask& task, ServerHandshake::Offload offload, Context&) {
  task.awaits_operation = true;
  return Offload{.operation = std::move(offload.operation), .wait = until_client_writable(task)};
}

Step act_on(HandshakeTask&, const ServerHandshake::Failed& failed, Context& context) {
  context.info.detail = failed.what;
  return Close{CloseReason::kInternal};
}

Step act_on_any(HandshakeTask& task, ServerHandshake::Answer answer, Context& context) {
  return std::visit([&](auto&& one) { return act_on(task, std::forward<decltype(one)>(one), context); },
                    std::move(answer));
}

/// Takes no step, because a permit or an operation is awaited, but sends the unsent bytes.
Step flush_to_client(HandshakeTask& task, Context& context) {
  if (!task.handshake->has_unsent()) return Wait{};
  auto answer = task.handshake->flush();
  if (std::holds_alternative<ServerHandshake::Wait>(answer)) return until_client_writable(task);
  return act_on_any(task, std::move(answer), context);
}

/// Takes a step and adds up the CPU time of the step.
ServerHandshake::Answer timed_step(HandshakeTask& task, Context& context) {
  const TimePoint begin = context.services.host.now();
  ServerHandshake::Answer answer = task.handshake->step();
  const Duration took = context.services.host.now() - begin;
  task.times.cpu += took;
  if (task.began) task.spent += took;
  return answer;
}

}  // namespace

Step step(Handshake& phase, Context& context) {
  HandshakeTask& task = *phase.task;
  if (task.awaits_operation || task.request.queued) return flush_to_client(task, context);
  account_for_waiting(task, context.services.host.now());
  if (std::exchange(task.request.granted, false)) {
    const bool waited = task.times.queue > kMayHaveLeft;
    if (waited && has_left(task.handshake->descriptor())) return left(context);
    settle(task, context);
    task.began = true;
    task.handshake->permit();
  }
  auto answer = timed_step(task, context);
  if (!std::holds_alternative<ServerHandshake::Offload>(answer)) settle(task, context);
  return act_on_any(task, std::move(answer), context);
}

}  // namespace headgate
