#pragma once

#include <cstddef>
#include <vector>

#include "config/config.h"
#include "connection/connection_info.h"

namespace headgate {

/// Makes the PROXY header that tells a server of `backend` about this connection. `client_descriptor` is the
/// client's socket, which knows the address that the client connected to. Loop thread.
[[nodiscard]] std::vector<std::byte> proxy_header_for(const config::Backend& backend,
                                                      const ConnectionInfo& info, int client_descriptor);

}  // namespace headgate
