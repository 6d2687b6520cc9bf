#pragma once

#include <chrono>
#include <cstddef>
#include <span>
#include <vector>

#include "base/units.h"
#include "tls/handshake/session_tickets.h"
#include "tls/openssl/library_context.h"
#include "tls/openssl/openssl_types.h"
#include "tls/record/hkdf.h"

namespace headgate {

/// What the tickets of one connection are made from.
struct TicketOrder {
  SSL_SESSION* session = nullptr;    ///< Of a finished handshake, its binding set. Its key is changed.
  Octets resumption_secret;          ///< resumption_master_secret. RFC 8446, section 7.1.
  std::size_t count = 0;             ///< At most 255.
  std::chrono::seconds lifetime{0};  ///< Of the tickets: what is left of the session's.
};

/// Makes the session tickets of TLS 1.3 connections whose records Headgate protects.
///
/// A session is encoded once, and the tickets of a connection differ in the resumption key and the IV alone,
/// where OpenSSL encodes it four times for each. The tickets are the same as OpenSSL's: name, IV,
/// AES-256-CBC, HMAC-SHA-256 (RFC 5077, section 4) around SSL_SESSION's encoding, so whoever opens one need
/// not know who made it. Loop thread only.
class TicketIssuer {
 public:
  /// `library` and `keys` outlive it.
  TicketIssuer(const LibraryContext& library, TicketKeys& keys);

  /// The order's NewSessionTicket messages, one behind the other. RFC 8446, section 4.6.1. Nothing when
  /// OpenSSL fails or a session is too large for a ticket: the connection does without.
  [[nodiscard]] std::vector<std::byte> issue(const TicketOrder& order, WallTime now);

 private:
  [[nodiscard]] bool protect(Octets session, const TicketKey& key, Octets iv, std::span<std::byte> ticket);

  const LibraryContext& library_;
  TicketKeys& keys_;
  CipherCtxPtr cipher_;  // made with the first ticket
};

}  // namespace headgate
