#include <optional>

#include "connection/connection.h"
#include "connection/phase.h"

namespace headgate {
namespace {

/// Returns the end that the rates of the listener have for this connection. One that its source's rate
/// forbids uses up nothing of the listener's.
std::optional<CloseReason> refused_by_rate(const ListenerPolicy& policy, Context& context) {
  const config::Limits& limits = policy.config.limits;
  const TimePoint now = context.services.host.now();
  if (policy.source_paces != nullptr &&
      !policy.source_paces->take(context.info.client.network(), limits.connection_rate_per_source, now)) {
    context.info.detail = "limits.connection_rate_per_source";
    return CloseReason::kSourceLimit;
  }
  if (limits.connection_rate > 0 && !policy.counters->take_connection(limits.connection_rate, now)) {
    context.info.detail = "limits.connection_rate";
    return CloseReason::kConnectionLimit;
  }
  return std::nullopt;
}

/// Returns the end of a connection for which the listener has no place.
std::optional<CloseReason> refused_by_number(const ListenerPolicy& policy, Context& context) {
  const config::Limits& limits = policy.config.limits;
  if (limits.max_connections == 0 && limits.max_connections_per_source == 0) return std::nullopt;
  auto place = std::make_unique<ListenerPlace>(policy.counters, context.info.client.network());
  const auto refused = place->enter(limits);
  if (!refused) {
    context.connection.take_place(std::move(place));
  } else {
    context.info.detail = *refused == CloseReason::kSourceLimit ? "limits.max_connections_per_source"
                                                                : "limits.max_connections";
  }
  return refused;
}

}  // namespace

Step step(Accept&, Context& context) {
  const ListenerPolicy& policy = *context.listener.policy;
  if (policy.config.proxy_protocol && policy.proxies.contains(context.info.client.address())) {
    return Phase(ProxyIn{});
  }
  return admit({}, context);
}

Step admit(std::vector<std::byte> received, Context& context) {
  const ListenerPolicy& policy = *context.listener.policy;
  const Address source = context.info.client.address();
  context.info.probe = !policy.probes.empty() && policy.probes.contains(source);
  if (policy.access.evaluate(source) != Access::kAllowed) return Close{CloseReason::kSourceDenied};
  const bool penalized =
      policy.penalties != nullptr && !context.info.probe &&
      policy.penalties->is_penalized(context.info.client.network(), context.services.host.now());
  if (penalized) return Close{CloseReason::kSourcePenalized};
  if (const auto refused = refused_by_rate(policy, context)) return Close{*refused};
  if (const auto refused = refused_by_number(policy, context)) return Close{*refused};
  if (policy.config.starttls) return Phase(StarttlsIn{.dialogue = nullptr, .received = std::move(received)});
  if (!context.listener.tls.empty()) return Phase(Hello{.received = std::move(received)});
  if (!received.empty()) {
    context.sides.client =
        context.services.transport.unread(std::move(context.sides.client), std::move(received));
  }
  return Phase(FindRoute{});
}

}  // namespace headgate
