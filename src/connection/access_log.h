#pragma once

#include <string_view>

#include "base/close_reason.h"
#include "connection/services.h"
#include "tls/peer/peer_policy.h"

namespace headgate {

/// Writes the line for a connection that ends, if log.access and the limit on failure lines let it. Runs on
/// the loop thread.
void write_access_line(Services& services, const ListenerState& listener, const ConnectionInfo& info,
                       std::string_view phase, CloseReason reason, TimePoint now);
/// Writes a line for a connection that enters `phase`, where the level is debug. Runs on the loop thread.
void write_phase_line(Services& services, const ListenerState& listener, const ConnectionInfo& info,
                      std::string_view phase, TimePoint now);

/// Writes the line of a client that a dry run lets in, and that `refusal` is about. The limit on failure
/// lines counts it too. Runs on the loop thread.
void write_dry_run_line(Services& services, const ListenerState& listener, const ConnectionInfo& info,
                        const Authorization& refusal, TimePoint now);

}  // namespace headgate
