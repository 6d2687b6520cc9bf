#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "net/address.h"

namespace headgate {

/// Whether `host`, the value of a request's Host header, names this endpoint, which listens on `bound`.
///
/// A page of another site can give its own name this machine's address, and the browser then takes the
/// endpoint for a part of that site (DNS rebinding). The page cannot choose what the browser writes into the
/// Host header, so the endpoint knows its own names:
///   - `localhost` and the addresses of loopback;
///   - the address of `bound`, and any IP address where `bound` is every address: no name is looked up for
///     an address, so no page can give it to another machine;
///   - on a unix socket any name without a dot, since no site has such a name;
///   - `names`, of admin.names: a name, an address, or "*.example.com", where "*" is one label.
/// Ports are not compared, because a port may be forwarded. Case and a final dot do not matter. Pure.
[[nodiscard]] bool is_own_host(std::string_view host, const Address& bound,
                               const std::vector<std::string>& names);

}  // namespace headgate
