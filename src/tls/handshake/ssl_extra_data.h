#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/close_reason.h"
#include "base/result.h"
#include "tls/library/openssl_types.h"
#include "tls/message_budget.h"
#include "tls/peer/peer_identity.h"

namespace headgate {

struct SessionBinding;
class SocketBio;
class StoredCertificate;

/// The extra data of an SSL: OpenSSL's callbacks write here what they learn during one handshake, where the
/// SSL object itself does not remember it.
///
/// A stream owns one together with its SSL and lets it outlive the SSL. Loop thread only.
struct SslExtraData {
  SslExtraData();
  ~SslExtraData();
  SslExtraData(const SslExtraData&) = delete;
  SslExtraData& operator=(const SslExtraData&) = delete;

  const StoredCertificate* certificate = nullptr;  ///< The certificate presented; of the listener's store.
  /// The identity of a peer that verification let pass in a full handshake.
  std::unique_ptr<PeerIdentity> verified_peer;
  HandshakeFailure refusal = HandshakeFailure::kNone;  ///< Why verification refused the peer.
  std::string refusal_detail;  ///< The sentence for the operator: why the client or server was refused.
  int alert_sent = -1;
  int alert_received = -1;
  /// The alert in a record without protection, where a library looks at protected ones alone.
  int plain_alert = -1;
  std::uint8_t server_hellos = 0;  ///< Two: the first was a HelloRetryRequest.
  bool finished_sent = false;      ///< The server's flight of TLS 1.3 is complete.
  bool stapled = false;            ///< The client asked for an OCSP response and gets one.
  bool full_permitted =
      false;  ///< A full handshake may begin. The certificate callback uses the permission up.
  bool ticket_refused = false;  ///< The client's ticket was judged, and is of no use.
  /// The binding of the session that is resumed, where the client's ticket was good.
  std::unique_ptr<SessionBinding> resumed;
  std::string server_name;   ///< The name that a server has to prove.
  std::string session_key;   ///< The key under which a ClientContext keeps the sessions of this connection.
  SocketBio* bio = nullptr;  ///< The stream's, while it has one.
  MessageBudget budget;      ///< For the peer's KeyUpdates, tickets and requests to renegotiate.
  std::uint16_t key_updates = 0;  ///< Of the peer, since the stream's last read().
  const char* flood = nullptr;    ///< Once the budget is used up: the sentence for the operator.
};

/// Ties extra data to an SSL, which remembers the address. Errors: kSystem, for a lack of memory.
[[nodiscard]] Result<void> attach_extra_data(SSL* ssl, SslExtraData* extra);
/// Returns the extra data of `ssl`, nullptr for one without.
[[nodiscard]] SslExtraData* extra_data_of(const SSL* ssl);
/// Every context, server or client, registers this with SSL_CTX_set_msg_callback: it writes alerts and
/// ServerHellos into the extra data, and breaks off a peer whose messages after the handshake exceed the
/// budget.
void record_message(int sent, int version, int content_type, const void* bytes, std::size_t size, SSL* ssl,
                    void* argument);

}  // namespace headgate
