#pragma once

#include <memory>
#include <string>
#include <variant>

#include "net/buffers.h"
#include "net/stream.h"
#include "tls/handshake/client_context.h"
#include "tls/library/private_key_operation.h"

namespace headgate {

/// One TLS handshake with a server, from our ClientHello to the stream that goes on. The counterpart of
/// ServerHandshake, with the same ownership. Loop thread only.
class ClientHandshake {
 public:
  /// The handshake can go no further until the server's socket is ready. `write` whenever bytes for the
  /// server are unsent.
  struct Wait {
    bool read = false;
    bool write = false;
  };
  /// The next step needs `operation`, which the caller has performed on another thread: call step() again
  /// when it is finished.
  struct Offload {
    std::shared_ptr<PrivateKeyOperation> operation;
  };
  /// The handshake is done, and this object is used up.
  struct Secured {
    std::unique_ptr<Stream> stream;
  };
  struct Failed {
    std::string what;  ///< For the operator.
  };
  using Answer = std::variant<Wait, Offload, Secured, Failed>;

  virtual ~ClientHandshake() = default;
  ClientHandshake() = default;
  ClientHandshake(const ClientHandshake&) = delete;
  ClientHandshake& operator=(const ClientHandshake&) = delete;

  /// Goes as far as the bytes at hand allow.
  [[nodiscard]] virtual Answer step() = 0;
  /// Sends the unsent bytes and does nothing else: while the operation is awaited.
  [[nodiscard]] virtual Answer flush() = 0;
  /// Whether bytes for the server are unsent.
  [[nodiscard]] virtual bool has_unsent() const = 0;
  /// The server's socket.
  [[nodiscard]] virtual int descriptor() const = 0;
};

/// Begins a handshake on `socket` with OpenSSL. `buffers` outlive it. Errors: kInvalid, kSystem.
[[nodiscard]] Result<std::unique_ptr<ClientHandshake>> begin_client_handshake(
    std::shared_ptr<ClientContext> context, const ServerRequest& request, Fd socket, Buffers& buffers);

/// Makes a TLS stream to a server for a caller that drives Stream::handshake() itself. The parameters are
/// those above.
[[nodiscard]] Result<std::unique_ptr<Stream>> client_stream(std::shared_ptr<ClientContext> context,
                                                            const ServerRequest& request, Fd socket,
                                                            Buffers& buffers);

}  // namespace headgate
