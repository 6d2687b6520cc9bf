#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "net/stream.h"

namespace headgate {

/// Why a pump stopped.
enum class Pumped : std::uint8_t {
  kDrained,     ///< The source has nothing more for now.
  kFull,        ///< The destination has not taken everything: wait until it is writable.
  kTurnIsOver,  ///< The source may have more: go on in the next turn.
  kEnded,       ///< The source ended.
  kSourceFailed,
  kDestinationFailed,
};

/// What a pump took from its source.
struct Taken {
  std::uint64_t bytes = 0;
  std::uint64_t key_updates = 0;
};

/// Moves the bytes at hand from `from` to `to` through `room`, at most one turn's share; adds what it took to
/// `taken`. Knows the end of a source from its failure, also where a write to it has failed before.
[[nodiscard]] Pumped pump(Stream& from, Stream& to, std::span<std::byte> room, Taken& taken);

}  // namespace headgate
