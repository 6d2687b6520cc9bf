#pragma once

#include <string>
#include <string_view>

#include "config/config.h"

namespace headgate {

/// Says what a connection meets at a backend: its servers and the choice among them, the connect, the PROXY
/// header, TLS and the health check. `sni` and `alpn` are the client's, which the backend may pass on; empty:
/// none.
void explain_backend(const config::Backend& backend, std::string_view sni, std::string_view alpn);

/// The addresses of the servers with commas between them.
[[nodiscard]] std::string addresses_of(const config::Backend& backend);

}  // namespace headgate
