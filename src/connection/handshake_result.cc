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

void count_handshake_end(ListenerMetrics& metrics, const Facts& facts, CloseReason reason) {
  auto result = result_of(reason);
  if (!result) return;
  if (facts.probe) result = HandshakeResult::kProbe;
  metrics.handshakes[static_cast<std::size_t>(*result)][facts.tls.resumed ? 1 : 0].add();
  if (*result != HandshakeResult::kFailed) return;
  const auto failure =
      facts.failure == HandshakeFailure::kNone ? HandshakeFailure::kClientLeft : facts.failure;
  const std::size_t alert = facts.alert < 0 ? kNoAlert : static_cast<std::size_t>(facts.alert);
  metrics.handshake_failures[static_cast<std::size_t>(failure)][alert].add();
}

}  // namespace headgate
