#pragma once

#include <cstddef>
#include <vector>

#include "config/config.h"
#include "connection/connection_info.h"

namespace headgate {

/// The PROXY header that tells a server of `backend` about this connection. `client_descriptor` is the
/// client's socket, for the address it connected to. Loop thread.
[[nodiscard]] std::vector<std::byte> proxy_header_for(const config::Backend& backend,
                                                      const ConnectionInfo& info, int client_descriptor);

}  // namespace headgate
