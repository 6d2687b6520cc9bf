#pragma once

#include "cli/import.h"
#include "cli/nginx_scope.h"
#include "config/config.h"

namespace headgate {

/// Sets where connections of `listener` go, as `proxy_pass` of the server says: to one backend, or by a `map`
/// to several. `server` is where the server stands. `listener` has its `tls` already.
void add_nginx_routes(NginxScope& scope, const Directive& server, NginxStream& stream,
                      config::Listener& listener, Imported& into);

}  // namespace headgate
