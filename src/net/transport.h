#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "net/address.h"
#include "net/socket.h"
#include "net/stream.h"

namespace headgate {

/// Makes plain streams: from sockets in a worker, from a script in a test. Loop thread only.
class Transport {
 public:
  virtual ~Transport() = default;

  /// A plain stream that reads `received` first, then goes on as `plain`, which is used up.
  [[nodiscard]] virtual std::unique_ptr<Stream> unread(std::unique_ptr<Stream> plain,
                                                       std::vector<std::byte> received) = 0;
  /// Reads and drops what a client still sends, past TLS: kDone, kWantRead, kEnded or kFailed.
  [[nodiscard]] virtual IoStatus discard(Stream& client, std::span<std::byte> room) = 0;
  /// Begins to connect; handshake() of the result says when the connection is there. Errors: errno.
  [[nodiscard]] virtual tl::expected<std::unique_ptr<Stream>, int> dial(const Address& address,
                                                                        const OwnEnd& from) = 0;
};

/// The one over sockets.
class SocketTransport final : public Transport {
 public:
  [[nodiscard]] std::unique_ptr<Stream> unread(std::unique_ptr<Stream> plain,
                                               std::vector<std::byte> received) override;
  [[nodiscard]] IoStatus discard(Stream& client, std::span<std::byte> room) override;
  [[nodiscard]] tl::expected<std::unique_ptr<Stream>, int> dial(const Address& address,
                                                                const OwnEnd& from) override;
};

}  // namespace headgate
