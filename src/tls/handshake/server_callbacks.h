#pragma once

#include "tls/handshake/server_context.h"

namespace headgate {

/// Has OpenSSL ask `context` about names, ALPN, tickets, staples and peers. It does so on the thread that
/// drives the handshake. Certificates are not among it: they are chosen before OpenSSL sees a byte.
void set_server_callbacks(ServerContext& context);

}  // namespace headgate
