#pragma once

#include <cstddef>
#include <span>

#include "net/starttls/dialogue.h"

namespace headgate {

/// Removes the greeting from what a mail server sends.
///
/// The client was greeted by Headgate before TLS, and after TLS it speaks first (RFC 3207, section 4.2; RFC
/// 9051, section 6.2.1; RFC 2595, section 4): a second greeting would be taken for the answer to its next
/// command. So when `starttls` was answered here, the backend's greeting is dropped. A greeting that is not a
/// welcome ("554 go away", "* BYE") is not dropped: the client gets it, as the answer to its first command.
class BackendGreeting {
 public:
  enum class State : std::uint8_t {
    kNeedMore,   ///< Keep the bytes, feed them again with more.
    kDone,       ///< Drop `drop_bytes`; everything behind them goes to the client.
    kMalformed,  ///< No end of line within kMaxStarttlsInputBytes: not a server of this protocol.
  };
  struct Verdict {
    State state = State::kNeedMore;
    std::size_t drop_bytes = 0;
  };

  /// Reads what the backend of `protocol` has sent since the connection was made. Pure. Each call reads from
  /// the start, which is kMaxStarttlsInputBytes at most, of a server that the operator has chosen. For a
  /// protocol whose client speaks first it is kDone at once, with nothing to drop: such a connection does not
  /// wait for the backend.
  [[nodiscard]] static Verdict read(StarttlsProtocol protocol, std::span<const std::byte> received);
};

}  // namespace headgate
