#include "connection/phase.h"

namespace headgate {

Step step(FindRoute&, Context& context) {
  const ConnectionInfo& info = context.info;
  RouteQuestion question{.sni = info.server_name.view(), .alpn = info.alpn.view(), .link = info.link()};
  if (info.peer && !info.peer->spiffe_id.empty()) question.spiffe_ids = std::span(&info.peer->spiffe_id, 1);
  const RouteDecision decision = context.listener.policy->routes.route(question);
  if (decision.backend.empty()) {
    context.info.detail = "no route matches and the listener has no backend of its own";
    return Close{CloseReason::kNoRoute};
  }
  return connect_to(decision.backend, context);
}

}  // namespace headgate
