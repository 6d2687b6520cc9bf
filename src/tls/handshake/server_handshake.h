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
#include "tls/library/private_key_operation.h"
#include "tls/peer/peer_policy.h"
#include "tls/record/aead_contexts.h"

namespace headgate {

/// One client's TLS handshake, from its ClientHello to the stream that goes on.
///
/// It owns all objects that OpenSSL may call back into: the context, the SSL object, its BIO, the captured
/// secrets and the private-key operation under way. So it may end at any time, even while another thread
/// performs its operation. The cryptography is paid for in advance: it takes no step that signs, verifies or
/// exchanges keys before permit() was called for that step. Loop thread only.
class ServerHandshake {
 public:
  /// The handshake can go no further until the client's socket is ready. `write` whenever bytes for the
  /// client are unsent.
  struct Wait {
    bool read = false;
    bool write = false;
  };
  /// The next step costs what cost() says: call step() again after permit().
  struct NeedsPermit {};
  /// The next step needs `operation`, which the caller has performed on another thread: call step() again
  /// when it is finished.
  struct Offload {
    std::shared_ptr<PrivateKeyOperation> operation;
  };
  /// The handshake is done, and this object is used up.
  struct Accepted {
    std::unique_ptr<Stream> stream;
    NegotiatedInfo negotiated;
    std::string_view key_type;  ///< Of our certificate: a constant.
    std::string key_algorithm;  ///< Of our certificate: "EC256".
    std::unique_ptr<PeerIdentity> peer;
    Protection protection = Protection::kOpenssl;
    ProtectionReason reason = ProtectionReason::kDefault;
    bool retried = false;  ///< The server sent a HelloRetryRequest.
    /// Why a dry run would refuse the client's certificate; HandshakeFailure::kNone: it would not.
    Authorization would_refuse;
  };
  /// The handshake failed, and this object is used up. `stream` holds the alert, where one is due.
  struct Refused {
    std::unique_ptr<Stream> stream;
    FailureKind kind = FailureKind::kProtocol;
    HandshakeFailure failure = HandshakeFailure::kInternal;
    int alert = -1;
    std::string detail;
  };
  /// OpenSSL could not begin: no byte was sent to the client.
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
  /// Sends the unsent bytes and does nothing else: while a permit or an operation is awaited.
  [[nodiscard]] virtual Answer flush() = 0;
  /// Whether bytes for the client are unsent.
  [[nodiscard]] virtual bool has_unsent() const = 0;
  /// Permits the step that NeedsPermit announced.
  virtual void permit() = 0;
  /// Returns the cost of the next step that needs a permit.
  [[nodiscard]] virtual HandshakeCost cost() const = 0;
  /// The client's socket.
  [[nodiscard]] virtual int descriptor() const = 0;
};

/// The things with which a handshake begins.
struct HandshakeStart {
  std::shared_ptr<ServerContext> context;
  const StoredCertificate* certificate = nullptr;  ///< Of the context's store; the context keeps it.
  Octets ticket;                                   ///< ClientHello::ticket, for the length of the call.
  std::size_t tickets = 0;                         ///< ClientHello::psk_identities.
  bool sends_early_data = false;                   ///< ClientHello::offers_early_data.
  bool takes_tickets = true;                       ///< ClientHello::offers_psk_dhe_ke; for TLS 1.3 only.
  bool keeps_client_certificate = false;           ///< PeerIdentity::certificate_der is wanted.
  std::vector<std::byte> received;  ///< The bytes of the ClientHello, and all bytes that came behind it.
};

/// Makes a handshake by OpenSSL on `socket`. `buffers` and `aead` outlive it. Until the first permit it costs
/// a look at the ticket and holds only the bytes received.
[[nodiscard]] std::unique_ptr<ServerHandshake> begin_server_handshake(HandshakeStart start, Fd socket,
                                                                      Buffers& buffers, AeadContexts& aead);

}  // namespace headgate
