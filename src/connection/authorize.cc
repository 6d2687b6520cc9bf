#include <chrono>
#include <utility>

#include "connection/access_log.h"
#include "connection/phase.h"

namespace headgate {
namespace {

/// A client that the handshake would have refused has no identity, so that the rules could not say why.
Authorization evaluate(Authorize& phase, const ClientRules& rules, const ConnectionInfo& info) {
  if (phase.would_refuse.why != HandshakeFailure::kNone) return std::move(phase.would_refuse);
  return rules.peers->authorize(info.peer.get(), std::chrono::system_clock::now());
}

void let_in_by_dry_run(const Authorization& refusal, Context& context) {
  context.listener.metrics->would_refuse[static_cast<std::size_t>(dry_run_refusal(refusal.why))].add();
  write_dry_run_line(context.services, context.listener, context.info, refusal, context.services.host.now());
}

}  // namespace

Step step(Authorize& phase, Context& context) {
  const ClientRules& rules = context.listener.policy->tls->rules_for(context.info.server_name.view());
  const Authorization verdict = evaluate(phase, rules, context.info);
  if (!verdict.allowed && !rules.only_count) {
    context.info.failure = verdict.why;
    context.info.detail = verdict.detail;
    return Close{CloseReason::kClientNotAllowed};
  }
  if (!verdict.allowed) let_in_by_dry_run(verdict, context);
  context.services.host.client_let_in(context.connection);
  const auto result = context.info.probe ? HandshakeResult::kProbe : HandshakeResult::kOk;
  auto& counted = context.listener.metrics->handshakes[static_cast<std::size_t>(result)];
  counted[context.info.tls->resumed ? 1 : 0].add();
  if (const auto& penalties = context.listener.policy->penalties)
    penalties->count_ok(context.info.client.network(), context.services.host.now());
  return Phase(FindRoute{});
}

}  // namespace headgate
