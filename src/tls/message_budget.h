#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "tls/coarse_time.h"

namespace headgate {

/// Bounds the messages that a peer may send after the handshake beside its data: KeyUpdates above all, each
/// of which costs new keys.
///
/// A peer may send kPerSecond of them each second, and as many at once. It may send one more for every
/// kBytesPerMessage bytes of data that the connection moves, either way. Java's client needs that: once it
/// has read 2^37 bytes under one key it asks for new keys with every record that is still on its way to it.
/// So the work for such messages stays small, or in proportion to the data. kMost bounds the work of one
/// read.
///
/// A value of six bytes, without a clock of its own. A connection that an upgrade moves begins with a new
/// one.
class MessageBudget {
 public:
  static constexpr std::uint32_t kPerSecond = 100;
  static constexpr std::size_t kBytesPerMessage = 4096;
  static constexpr std::uint32_t kMost = 1023;
  /// What OpenSSL pays for a renegotiation that it refuses: it reads a whole hello, and answers with an
  /// alert.
  static constexpr std::uint32_t kRenegotiationPrice = 10;

  /// Whether time may have earned the peer something that pass_time() has not been told.
  [[nodiscard]] bool needs_time() const { return units_ < kPerSecond * kUnits; }
  /// It is `now`. Call it before messages are read while needs_time(). `now` may wrap around.
  void pass_time(CoarseTime now) {
    const std::uint32_t elapsed = std::min<std::uint32_t>((now - passed_).count(), 1000);
    passed_ = now;
    if (needs_time()) units_ = at_most(units_ + elapsed * kPerSecond * kUnits / 1000, kPerSecond * kUnits);
  }
  /// The connection has moved `bytes` of data.
  void earn(std::size_t bytes) {
    units_ = at_most(units_ + std::min<std::size_t>(bytes / kUnitBytes, kMost * kUnits), kMost * kUnits);
  }
  /// The peer has sent a message that costs as much as `price` KeyUpdates. False: it was one too many.
  [[nodiscard]] bool spend(std::uint32_t price = 1) {
    if (units_ < price * kUnits) return false;
    units_ = static_cast<std::uint16_t>(units_ - price * kUnits);
    return true;
  }

 private:
  // A message costs kUnits; 64 bytes of data earn one unit, so that 16 bits hold kMost messages.
  static constexpr std::size_t kUnitBytes = 64;
  static constexpr std::uint32_t kUnits = kBytesPerMessage / kUnitBytes;
  static_assert(kMost * kUnits <= UINT16_MAX);

  static std::uint16_t at_most(std::size_t units, std::uint32_t most) {
    return static_cast<std::uint16_t>(std::min<std::size_t>(units, most));
  }

  CoarseTime passed_{};
  std::uint16_t units_ = kPerSecond * kUnits;
};

}  // namespace headgate
