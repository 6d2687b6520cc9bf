#pragma once

#include <vector>

#include "cli/import.h"
#include "cli/nginx_scope.h"
#include "config/config.h"

namespace headgate {

/// The `listen` lines of one server that differ in the address alone.
struct NginxListen {
  std::vector<config::Bind> binds;
  bool tls = false;
  bool proxy_protocol = false;
  int backlog = 0;  ///< 0: not given.
};

/// The `listen` lines of a server, those with TLS first; takes them. `bound` has the addresses of the servers
/// before, and gets those of this one.
[[nodiscard]] std::vector<NginxListen> nginx_listens(NginxScope& scope, std::vector<Address>& bound,
                                                     Imported& into);

}  // namespace headgate
