#pragma once

#include "connection/connection.h"
#include "worker/worker.h"

/// The places of a listener's connections, for limits.max_connections and max_connections_per_source. A
/// connection takes its own when it is accepted under such a limit; the functions here give one to the
/// connections that were there before. On the worker's thread.
namespace headgate {

/// Whether a listener of `now` bounds its connections and did not in `before`; nullptr: there was none.
[[nodiscard]] bool bounds_more_listeners(const WorkerSnapshot& now, const WorkerSnapshot* before);

/// Counts an established connection for its listener in `snapshot`, whether the limits allow it or not, if
/// they bound it and it does not count yet.
void count_for_listener(Connection& connection, const WorkerSnapshot& snapshot);

/// Does so for all connections of the worker, in slices.
void count_for_listeners(Worker& worker);

}  // namespace headgate
