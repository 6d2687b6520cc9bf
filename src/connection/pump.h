#pragma once

#include "connection/phase.h"

namespace headgate {

/// Why a pump stopped.
enum class Pumped : std::uint8_t {
  kDrained,     ///< The source has nothing more for now.
  kShort,       ///< The same, as its last read says: an end may be behind it, of which the loop tells.
  kFull,        ///< The destination has not taken everything: wait until it is writable.
  kTurnIsOver,  ///< The source may have more: go on in the next turn.
  kEnded,       ///< The source ended, in order as far as the table of ends goes.
  kCutShort,    ///< The backend's TLS ended without close_notify, between two records.
  kSourceFailed,
  kDestinationFailed,
};

/// Moves the bytes at hand of `source` to the other side, at most one turn's share. Where nobody needs to see
/// them, because both sides are plain, and `flow` carries bulk, the bytes stay in the kernel (splice(2)).
/// Counts what it took, bytes and KeyUpdates, in the connection's info and in the listener's metrics. Knows
/// the end of a source from its failure, also where a write to it has failed before.
[[nodiscard]] Pumped pump(Side source, Flow& flow, Context& context);

/// Notes that the destination has taken some of what it had not taken at once, and for how long it had taken
/// nothing: a slow one is not spliced any more, until its flow carries bulk again.
void destination_took(Flow& flow, Duration after, Context& context);

}  // namespace headgate
