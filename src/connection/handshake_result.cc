#include "connection/handshake_result.h"

#include <optional>

#include "metrics/alert_name.h"

namespace headgate {
namespace {

std::optional<HandshakeResult> result_of(CloseReason reason) {
  switch (reason) {
    case CloseReason::kProbe:
      return HandshakeResult::kProbe;
    case CloseReason::kHandshakeTimeout:
    case CloseReason::kSlowHello:
      return HandshakeResult::kTimeout;
    case CloseReason::kHandshakeShed:
      return HandshakeResult::kShed;
    case CloseReason::kClientLeftInHandshake:
    case CloseReason::kHandshakeFailed:
    case CloseReason::kPlaintextHttp:
    case CloseReason::kNotTls:
    case CloseReason::kClientNotAllowed:
      return HandshakeResult::kFailed;
    default:
      return std::nullopt;
  }
}

}  // namespace

std::optional<HandshakeResult> count_handshake_end(ListenerMetrics& metrics, const ConnectionInfo& info,
                                                   CloseReason reason) {
  auto result = result_of(reason);
  if (!result) return result;
  if (info.probe) result = HandshakeResult::kProbe;
  metrics.handshakes[static_cast<std::size_t>(*result)][info.tls->resumed ? 1 : 0].add();
  if (*result != HandshakeResult::kFailed) return result;
  const auto failure = info.failure == HandshakeFailure::kNone ? HandshakeFailure::kClientLeft : info.failure;
  metrics.handshake_failures.add(failure, info.alert < 0 ? kNoAlert : static_cast<std::uint8_t>(info.alert));
  return result;
}

void count_for_penalties(ListenerState& listener, const ConnectionInfo& info, HandshakeResult result,
                         TimePoint now) {
  const ListenerPolicy& policy = *listener.policy;
  const bool failed = result == HandshakeResult::kFailed || result == HandshakeResult::kTimeout;
  if (policy.penalties == nullptr || !failed) return;
  if (policy.penalties->count_failed(info.client.network(), policy.config.limits.penalty, now))
    listener.metrics->sources_penalized.add();
}

void record_handshake_end(FlightRecorder& recorder, std::string_view listener, const ConnectionInfo& info,
                          HandshakeResult result, const Phase& phase, TimePoint now) {
  if (result != HandshakeResult::kFailed && result != HandshakeResult::kTimeout) return;
  const Duration total = now - info.accepted;
  if (std::holds_alternative<Hello>(phase)) {
    recorder.failed(listener, info, result, {.total = total, .peer_wait = total}, {});
  } else if (const auto* handshake = std::get_if<Handshake>(&phase)) {
    HandshakeTimes times = handshake->task->times;
    times.total = total;
    if (handshake->task->waiting_since != TimePoint{})
      times.peer_wait += now - handshake->task->waiting_since;
    recorder.failed(listener, info, result, times, handshake->task->hello);
  } else if (std::holds_alternative<Authorize>(phase)) {
    recorder.failed(listener, info, result, {.total = total}, {});
  }
}

}  // namespace headgate
