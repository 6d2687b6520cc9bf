#pragma once

#include "cli/import.h"
#include "cli/nginx_scope.h"
#include "config/config.h"

namespace headgate {

/// Who the source of a connection is for nginx.
enum class NginxSource {
  kClient,   ///< As for Headgate.
  kBalancer  ///< The peer, although a PROXY header names the client.
};

/// Takes the `allow` and `deny` lines as those of `listener`. Where an exception from `deny` comes first,
/// which Headgate does not have, `deny` holds, and a remark names it.
void add_nginx_networks(NginxScope& scope, NginxSource source, config::Listener& listener, Imported& into);

/// Takes the `limit_conn` lines that count connections of one source.
void add_nginx_limits(NginxScope& scope, NginxSource source, NginxStream& stream, config::Listener& listener,
                      Imported& into);

}  // namespace headgate
