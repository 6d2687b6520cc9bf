#include "connection/dial_ends.h"

#include <sys/socket.h>

#include <algorithm>

namespace headgate {
namespace {

/// Whether a connection to `destination` would come back to this listener, and so on without end: nothing has
/// led the client here from elsewhere.
bool is_listener_itself(const Address& destination, const config::Listener& listener) {
  const bool may_be = std::ranges::any_of(listener.bind, [&](const config::Bind& bind) {
    return bind.address.port() == 0 || bind.address.port() == destination.port();
  });
  return may_be && is_of_this_machine(destination);
}

std::string_view family_name(const Address& address) {
  return address.family() == AF_INET ? "IPv4" : "IPv6";
}

void use_original(const Context& context, DialEnds& ends) {
  ends.server = local_address(context.sides.client->descriptor()).unmapped();
  if (is_listener_itself(ends.server, context.listener.policy->config)) {
    ends.why_not = "the client asked for " + ends.server.text() + ", which is this listener itself";
  }
}

void use_client_address(const Context& context, DialEnds& ends) {
  ends.own = {.address = context.info.client.address().unmapped(), .foreign = true};
  if (ends.own.address->is_unix()) ends.why_not = "the client has no address to connect from";
}

}  // namespace

DialEnds dial_ends(const BackendGroup& group, const Choice& choice, const Context& context) {
  DialEnds ends{.server = choice.address, .own = group.own_end};
  if (choice.lease.server().endpoint().is_original()) use_original(context, ends);
  if (ends.server.is_unix()) return ends;
  if (group.config.source == config::kClientSource) use_client_address(context, ends);
  if (!ends.own.address || !ends.why_not.empty()) return ends;
  if (ends.own.address->family() != ends.server.unmapped().family()) {
    ends.why_not = "no connection goes from the " + std::string(family_name(*ends.own.address)) +
                   " address " + ends.own.address->host_text() + " to " + ends.server.text();
  }
  return ends;
}

}  // namespace headgate
