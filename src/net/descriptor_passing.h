#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/secret_bytes.h"
#include "net/fd.h"

/// Messages with open descriptors, between two processes over one unix stream socket, blocking. SO_RCVTIMEO
/// and SO_SNDTIMEO of the socket bound the wait.
namespace headgate {

/// More than a connection's two, less than the kernel's limit of 253 for one message.
inline constexpr std::size_t kMaxPassedDescriptors = 64;
/// Room for one unsent write of each side, for what was received from each, and for the rest. State that can
/// be larger goes in several messages.
inline constexpr std::size_t kMaxPassedBytes = 1024 * 1024;

struct PassedMessage {
  SecretBytes bytes;
  std::vector<Fd> descriptors;  ///< In the order of sending, close-on-exec.
};

/// Sends `bytes` (at most kMaxPassedBytes) and duplicates of `descriptors` (at most kMaxPassedDescriptors) as
/// one message; the sender's stay open. Errors: kInvalid for more of either, of which nothing was sent;
/// kSystem, after which the socket cannot be used any more.
[[nodiscard]] Result<void> send_with_descriptors(int socket, std::span<const std::byte> bytes,
                                                 std::span<const int> descriptors);

/// Receives one message, with exactly the descriptors it was sent with. Errors: kNotFound when the other
/// process closed the socket between two messages; kIncomplete when it did so within one; kMalformed for what
/// send_with_descriptors() does not send; kSystem, a timeout among them. After an error the socket cannot be
/// used any more.
[[nodiscard]] Result<PassedMessage> receive_with_descriptors(int socket);

}  // namespace headgate
