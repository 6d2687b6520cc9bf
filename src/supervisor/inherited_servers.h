#pragma once

#include <string>
#include <vector>

#include "base/units.h"
#include "metrics/process_state.h"
#include "snapshot/snapshot.h"

/// The servers whose slow start an upgrade carries on: those that health checks have found up again, and for
/// how long.
///
/// They go among the lines of inherited_counters.h, whose readers skip them: "server_back for=MS BACKEND
/// SERVER".
namespace headgate {

[[nodiscard]] std::vector<std::string> servers_to_leave(const ProcessState& state);

/// Takes over what `lines` say of the servers of `snapshot`. Lines of other kinds, and of servers that it
/// does not have, are skipped. Supervisor, before a connection is made.
void inherit_servers(const std::vector<std::string>& lines, const Snapshot& snapshot, TimePoint now);

}  // namespace headgate
