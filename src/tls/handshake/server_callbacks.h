#pragma once

#include "tls/handshake/server_context.h"

namespace headgate {

/// Makes OpenSSL ask `context` about names, ALPN, tickets, staples and peers, on the thread that drives the
/// handshake. OpenSSL does not ask for certificates: Headgate chooses them before OpenSSL sees a byte.
void set_server_callbacks(ServerContext& context);

}  // namespace headgate
