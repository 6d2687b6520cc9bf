#pragma once

#include <cstddef>
#include <vector>

#include "config/config.h"
#include "connection/facts.h"

namespace headgate {

/// The PROXY header that tells a server of `backend` about this connection. `client_descriptor` is the
/// client's socket, for the address it connected to. Loop thread.
[[nodiscard]] std::vector<std::byte> proxy_header_for(const config::Backend& backend, const Facts& facts,
                                                      int client_descriptor);

}  // namespace headgate
