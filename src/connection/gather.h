#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "net/stream.h"

namespace headgate {

/// Appends what `stream` has to `received`, which grows to `most_bytes` at most, its capacity too; `room` is
/// scratch space.
/// kDone when bytes came, or `received` is full already; else what the read said.
[[nodiscard]] IoStatus gather(Stream& stream, std::vector<std::byte>& received, std::span<std::byte> room,
                              std::size_t most_bytes);

}  // namespace headgate
