#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "net/socket.h"

namespace headgate {

/// The bytes that a socket did not take yet. Holds memory only while there are any. Loop thread only.
class Unsent {
 public:
  Unsent() = default;
  explicit Unsent(std::vector<std::byte> bytes);

  /// Keeps `bytes` behind what is kept already.
  void keep(std::span<const std::byte> bytes);
  /// Sends as much as the socket takes: kDone when nothing is left, kWantWrite, or kFailed with errno in
  /// `error`.
  SocketIo send(int fd, Then then = Then::kMore);
  [[nodiscard]] std::size_t size_bytes() const { return bytes().size(); }
  [[nodiscard]] bool empty() const { return size_bytes() == 0; }
  [[nodiscard]] std::span<const std::byte> bytes() const {
    return kept_ ? std::span<const std::byte>(kept_->bytes).subspan(kept_->sent_bytes)
                 : std::span<const std::byte>();
  }

 private:
  struct Kept {
    std::vector<std::byte> bytes;
    std::size_t sent_bytes = 0;
  };
  std::unique_ptr<Kept> kept_;
};

/// Sends `bytes` at once and keeps in `unsent` what the socket does not take. `unsent` must be empty before.
SocketIo send_or_keep(int fd, std::span<const std::byte> bytes, Unsent& unsent, Then then = Then::kMore);

}  // namespace headgate
