#include "connection/phase.h"

namespace headgate {

Step step(FindRoute&, Context& context) {
  const Facts& facts = context.facts;
  RouteQuestion question{.sni = facts.server_name.view(), .alpn = facts.alpn.view()};
  if (facts.peer && !facts.peer->spiffe_id.empty())
    question.spiffe_ids = std::span(&facts.peer->spiffe_id, 1);
  const RouteDecision decision = context.listener.policy->routes.route(question);
  if (decision.backend.empty()) {
    context.facts.detail = "no route matches and the listener has no backend of its own";
    return Close{CloseReason::kNoRoute};
  }
  return connect_to(decision.backend, context);
}

}  // namespace headgate
