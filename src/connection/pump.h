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

/// Moves the bytes at hand of `source` to the other side, at most one turn's share. Counts what it took,
/// bytes and KeyUpdates, in the connection's info and in the listener's metrics. Knows the end of a source
/// from its failure, also where a write to it has failed before.
[[nodiscard]] Pumped pump(Side source, Context& context);

}  // namespace headgate
