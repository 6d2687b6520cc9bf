#pragma once

#include <string>

#include "cli/import.h"
#include "cli/nginx_scope.h"

namespace headgate {

/// The name of the backend that connections to `place` (an upstream or an address) get from this server;
/// makes it, with the proxy_* lines of the server. Empty if there is no such backend. `line` is where the
/// place stands.
[[nodiscard]] std::string nginx_backend(const std::string& place, const Directive& line, NginxScope& scope,
                                        NginxStream& stream, Imported& into);

}  // namespace headgate
