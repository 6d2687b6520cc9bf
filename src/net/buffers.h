#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "net/stream.h"

namespace headgate {

/// Room for what protection adds to kMaxWriteBytes: the header, content type and tag of each record, with
/// records of 1 KiB or more.
inline constexpr std::size_t kRecordOverheadRoomBytes = 8 * 1024;

/// Scratch space of one worker, lent to its streams for the length of one call: a connection itself owns
/// bytes only while its peer is slow. A stream's function may leave nothing in it when it returns.
struct Buffers {
  /// Ciphertext as it was received.
  std::vector<std::byte> received{std::vector<std::byte>(kMaxWriteBytes)};
  /// Ciphertext about to be sent, records one after another.
  std::vector<std::byte> sending{std::vector<std::byte>(kMaxWriteBytes + kRecordOverheadRoomBytes)};
  /// Plaintext on its way from one stream to the other.
  std::vector<std::byte> plaintext{std::vector<std::byte>(kMaxWriteBytes)};
};

}  // namespace headgate
