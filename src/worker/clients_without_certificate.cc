#include "worker/clients_without_certificate.h"

#include <algorithm>
#include <cstddef>

#include "worker/connection_walk.h"

namespace headgate {
namespace {

bool require_certificates(const ClientRules& rules) {
  return rules.settings.mode == config::ClientAuthMode::kRequired && rules.settings.cut_live &&
         !rules.only_count;
}

}  // namespace

bool may_refuse_clients_without_certificate(const WorkerSnapshot& snapshot) {
  const auto require_more = [](const ClientRules& rules) {
    return require_certificates(rules) && rules.changes.anyone;
  };
  return std::ranges::any_of(snapshot.listeners, [&require_more](const auto& listener) {
    const auto& tls = listener->policy->tls;
    return tls && std::ranges::any_of(tls->rules, require_more);
  });
}

bool is_refused_without_certificate(const Connection& connection, const WorkerSnapshot& snapshot) {
  const ConnectionInfo& info = connection.info();
  if (info.peer || info.tls->version.empty()) return false;
  const ListenerState* listener = snapshot.find_listener(connection.listener().policy->config.name);
  if (listener == nullptr || !listener->policy->tls) return false;
  return require_certificates(listener->policy->tls->rules_for(info.server_name.view()));
}

void end_clients_without_certificate(Worker& worker) {
  const auto visit = [&worker](Connection& connection) {
    if (!is_refused_without_certificate(connection, *worker.snapshot())) return std::size_t{0};
    connection.end(CloseReason::kClientNotAllowed, "the client has shown no certificate, and now needs one");
    return ConnectionWalk::kEndCost;
  };
  ConnectionWalk::begin(worker, visit, [] {});
}

}  // namespace headgate
