#include "connection/connection.h"
#include "connection/phase.h"

namespace headgate {

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
  const config::Limits& limits = policy.config.limits;
  if (limits.max_connections > 0 || limits.max_connections_per_source > 0) {
    auto place = std::make_unique<ListenerPlace>(policy.counters, context.info.client.network());
    if (const auto refused = place->enter(limits)) return Close{*refused};
    context.connection.take_place(std::move(place));
  }
  if (policy.config.starttls) return Phase(StarttlsIn{.dialogue = nullptr, .received = std::move(received)});
  if (context.listener.tls) return Phase(Hello{.received = std::move(received)});
  if (!received.empty()) {
    context.sides.client =
        context.services.transport.unread(std::move(context.sides.client), std::move(received));
  }
  return Phase(FindRoute{});
}

}  // namespace headgate
