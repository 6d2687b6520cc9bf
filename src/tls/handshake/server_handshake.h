#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "base/close_reason.h"
#include "base/record_protection.h"
#include "net/buffers.h"
#include "net/stream.h"
#include "tls/handshake/handshake_cost.h"
#include "tls/handshake/negotiated_info.h"
#include "tls/handshake/server_context.h"
#include "tls/openssl/private_key_operation.h"
#include "tls/record/aead_contexts.h"

namespace headgate {

/// One client's TLS handshake, from its ClientHello to the stream that goes on.
///
/// It owns all that OpenSSL may call back into: the context, the SSL object, its BIO, the captured secrets
/// and the private-key operation under way. So it may end at any time, whatever is still being computed for
/// it. The cryptography is paid for in advance: a step that signs, verifies or exchanges keys is not taken
/// before permit() was called for it. Loop thread only.
class ServerHandshake {
 public:
  /// Nothing more until the client's socket is ready. `write` whenever bytes for the client are unsent.
  struct Wait {
    bool read = false;
    bool write = false;
  };
  /// The next step costs what cost() says: step() again after permit().
  struct NeedsPermit {};
  /// The next step needs `operation`, to be performed on another thread: step() again when it is finished.
  struct Offload {
    std::shared_ptr<PrivateKeyOperation> operation;
  };
  /// The handshake is done, and this object used up.
  struct Accepted {
    std::unique_ptr<Stream> stream;
    NegotiatedInfo negotiated;
    std::string_view key_type;  ///< Of our certificate: a constant.
    std::unique_ptr<PeerIdentity> peer;
    Protection protection = Protection::kOpenssl;
    ProtectionReason reason = ProtectionReason::kDefault;
    bool retried = false;  ///< There was a HelloRetryRequest.
  };
  /// The handshake failed, and this object is used up. The alert is with `stream`, where one is due.
  struct Refused {
    std::unique_ptr<Stream> stream;
    FailureKind kind = FailureKind::kProtocol;
    HandshakeFailure failure = HandshakeFailure::kInternal;
    int alert = -1;
    std::string detail;
  };
  /// OpenSSL could not begin: nothing has been said to the client.
  struct Failed {
    std::string what;
  };
  using Answer = std::variant<Wait, NeedsPermit, Offload, Accepted, Refused, Failed>;

  virtual ~ServerHandshake() = default;
  ServerHandshake() = default;
  ServerHandshake(const ServerHandshake&) = delete;
  ServerHandshake& operator=(const ServerHandshake&) = delete;

  /// Goes as far as the bytes at hand allow.
  [[nodiscard]] virtual Answer step() = 0;
  /// Sends what is unsent and does nothing else: for a socket that has become writable alone.
  [[nodiscard]] virtual Answer flush() = 0;
  /// The step that NeedsPermit spoke of may be taken.
  virtual void permit() = 0;
  /// What the next step that needs a permit will cost.
  [[nodiscard]] virtual HandshakeCost cost() const = 0;
  /// The client's socket.
  [[nodiscard]] virtual int descriptor() const = 0;
};

/// What a handshake begins with.
struct HandshakeStart {
  std::shared_ptr<ServerContext> context;
  const StoredCertificate* certificate = nullptr;  ///< Of the context's store; the context keeps it.
  Octets ticket;                                   ///< ClientHello::ticket, for the length of the call.
  std::size_t tickets = 0;                         ///< ClientHello::psk_identities.
  std::vector<std::byte> received;  ///< The ClientHello as it came, and all that came behind it.
};

/// The handshake on `socket` by OpenSSL. `buffers` and `aead` outlive it. Until the first permit it costs a
/// look at the ticket and holds nothing but the bytes received.
[[nodiscard]] std::unique_ptr<ServerHandshake> begin_server_handshake(HandshakeStart start, Fd socket,
                                                                      Buffers& buffers, AeadContexts& aead);

}  // namespace headgate
