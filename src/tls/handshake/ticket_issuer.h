#pragma once

#include <chrono>
#include <cstddef>
#include <span>
#include <vector>

#include "base/units.h"
#include "tls/handshake/session_tickets.h"
#include "tls/handshake/ticket_protection.h"
#include "tls/library/library_context.h"
#include "tls/library/openssl_types.h"
#include "tls/record/hkdf.h"

namespace headgate {

/// The parts from which the tickets of one connection are made.
struct TicketOrder {
  SSL_SESSION* session = nullptr;    ///< A finished handshake's, which may be changed.
  std::vector<std::byte> app_data;   ///< What the tickets protect beside the session.
  Octets resumption_secret;          ///< resumption_master_secret. RFC 8446, section 7.1.
  std::size_t count = 0;             ///< At most 255.
  std::chrono::seconds lifetime{0};  ///< The lifetime of the tickets: the remaining lifetime of the session.
};

/// Makes the session tickets of TLS 1.3 connections whose records Headgate protects.
///
/// It encodes a session once, because the tickets of a connection differ only in the resumption key and the
/// IV; OpenSSL encodes a session four times for each ticket. The tickets are the same as those of the
/// library, which can open them: tls/library/tickets.h. Loop thread only.
class TicketIssuer {
 public:
  /// `library` and `keys` outlive it.
  TicketIssuer(const LibraryContext& library, TicketKeys& keys);

  /// Returns the order's NewSessionTicket messages, one behind the other. RFC 8446, section 4.6.1. Returns
  /// nothing when OpenSSL fails or a session is too large for a ticket: the connection then has no tickets.
  [[nodiscard]] std::vector<std::byte> issue(const TicketOrder& order, WallTime now);

 private:
  const LibraryContext& library_;
  TicketKeys& keys_;
  TicketProtection protection_;
};

}  // namespace headgate
