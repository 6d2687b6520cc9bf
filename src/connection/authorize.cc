#include <chrono>

#include "connection/phase.h"

namespace headgate {

Step step(Authorize&, Context& context) {
  const auto verdict = context.listener.policy->tls->peers->authorize(context.info.peer.get(),
                                                                      std::chrono::system_clock::now());
  if (!verdict.allowed) {
    context.info.failure = verdict.why;
    context.info.detail = verdict.detail;
    return Close{CloseReason::kClientNotAllowed};
  }
  if (context.info.peer) context.services.host.peer_let_in(context.connection);
  const auto result = context.info.probe ? HandshakeResult::kProbe : HandshakeResult::kOk;
  auto& counted = context.listener.metrics->handshakes[static_cast<std::size_t>(result)];
  counted[context.info.tls->resumed ? 1 : 0].add();
  return Phase(FindRoute{});
}

}  // namespace headgate
