#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "net/stream.h"

namespace headgate {

/// Appends the bytes that `stream` has to `received`. The size and the capacity of `received` grow to
/// `most_bytes` at most; `room` is scratch space. Returns kDone when bytes came or `received` is full
/// already, else the answer of the read.
[[nodiscard]] IoStatus gather(Stream& stream, std::vector<std::byte>& received, std::span<std::byte> room,
                              std::size_t most_bytes);

}  // namespace headgate
