#pragma once

#include <optional>
#include <string>

#include "cli/import.h"
#include "cli/nginx_scope.h"
#include "config/config.h"

namespace headgate {

/// The TLS of a server that `listen ... ssl` has; takes its lines. `server` is where the server stands.
[[nodiscard]] config::Tls nginx_tls(NginxScope& scope, const Directive& server, Imported& into);

/// Says of the lines about TLS in a server without `listen ... ssl` that they do nothing.
void name_idle_nginx_tls(NginxScope& scope, Imported& into);

/// The TLS to servers, if `proxy_ssl` is on. `name` is what nginx calls the server where `proxy_ssl_name` is
/// not given, and `is_host` whether it is the host of the server's address.
struct NginxTarget {
  std::string name;
  bool is_host = true;
};
[[nodiscard]] std::optional<config::BackendTls> nginx_backend_tls(NginxScope& scope,
                                                                  const NginxTarget& target, Imported& into);

}  // namespace headgate
