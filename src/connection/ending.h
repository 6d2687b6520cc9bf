#pragma once

#include <optional>

#include "connection/ends.h"
#include "connection/phase.h"

/// The begin of an end that tells the peers; the shutdown phase carries it out.
namespace headgate {

/// Ends a connection in relay because `broken` has broken off, by the words of that side's stream.
[[nodiscard]] Phase end_broken(Relay& relay, Context& context, Side broken);
/// Ends a connection in relay because the backend ended its direction without the close_notify of TLS.
[[nodiscard]] Phase end_cut_short(Relay& relay, Context& context);
/// Ends a connection because of `cause`, which is neither side's break. Nothing: in this phase no peer is
/// told anything, and the connection just ends.
[[nodiscard]] std::optional<Phase> end_for(EndCause cause, CloseReason reason, Phase& phase,
                                           Context& context);

/// Ends a client in order that has no server, and needs none. In the connect phase.
[[nodiscard]] Phase end_in_order(CloseReason reason, Context& context);

/// The time when an end is given up, if no peer gets a byte from now on: timeouts.shutdown.
[[nodiscard]] TimePoint limit_of_end(const Context& context);

/// The bytes that the peers have not got yet: those that are unsent, and those that no kernel has
/// acknowledged.
[[nodiscard]] std::size_t bytes_left(const Sides& sides);

/// Makes an end that is under way the last one of its process or its drain: it waits no longer than
/// timeouts.shutdown from now on, and not for the peers' own ends.
void hasten(Shutdown& phase, const Context& context);

}  // namespace headgate
