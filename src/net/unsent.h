#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "net/pipe.h"
#include "net/socket.h"

namespace headgate {

/// The bytes that a socket did not take yet: in memory, or in a pipe. Holds memory, or a pipe, only while
/// there are any. Loop thread only.
class Unsent {
 public:
  Unsent() = default;
  explicit Unsent(std::vector<std::byte> bytes);

  /// Keeps `bytes` behind what is kept already, which is in memory.
  void keep(std::span<const std::byte> bytes);
  /// Keeps what the pipe holds. Nothing else may be kept.
  void keep(PipeLoan pipe);
  /// Takes what is in a pipe into memory, for one who wants to see the bytes.
  void leave_pipe();
  /// Sends as much as the socket takes: kDone when nothing is left, kWantWrite, or kFailed with errno in
  /// `error`.
  SocketIo send(int fd, Then then = Then::kMore);
  [[nodiscard]] std::size_t size_bytes() const {
    return bytes().size() + (kept_ && kept_->pipe ? kept_->pipe->size_bytes() : 0);
  }
  [[nodiscard]] bool empty() const { return size_bytes() == 0; }
  /// Returns those that are in memory.
  [[nodiscard]] std::span<const std::byte> bytes() const {
    return kept_ ? std::span<const std::byte>(kept_->bytes).subspan(kept_->sent_bytes)
                 : std::span<const std::byte>();
  }

 private:
  struct Kept {
    std::vector<std::byte> bytes;
    std::size_t sent_bytes = 0;
    PipeLoan pipe{};  // null, or `bytes` is empty
  };
  std::unique_ptr<Kept> kept_;
};

/// Sends `bytes` at once and keeps in `unsent` what the socket does not take. `unsent` must be empty before.
SocketIo send_or_keep(int fd, std::span<const std::byte> bytes, Unsent& unsent, Then then = Then::kMore);

}  // namespace headgate
