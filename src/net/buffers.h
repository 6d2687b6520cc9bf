#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "net/stream.h"

namespace headgate {

/// What one record of kMaxWriteBytes may grow by: header, content type and tag of each 1 KiB record,
/// generously.
inline constexpr std::size_t kRecordOverheadRoomBytes = 8 * 1024;

/// Scratch space of one worker, lent to its streams for the length of one call: a connection itself owns
/// bytes only while its peer is slow. Nothing may be left in it when a stream's function returns.
struct Buffers {
  /// Ciphertext as it was received.
  std::vector<std::byte> received{std::vector<std::byte>(kMaxWriteBytes)};
  /// Ciphertext about to be sent, records one after another.
  std::vector<std::byte> sending{std::vector<std::byte>(kMaxWriteBytes + kRecordOverheadRoomBytes)};
  /// Plaintext on its way from one stream to the other.
  std::vector<std::byte> plaintext{std::vector<std::byte>(kMaxWriteBytes)};
};

}  // namespace headgate
