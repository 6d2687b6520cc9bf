#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "tls/handshake/session_tickets.h"
#include "tls/record/hkdf.h"

/// The protection of a session within a ticket: the key's name, the IV, AES-256-CBC, HMAC-SHA-256. RFC 5077,
/// section 4.
namespace headgate {

inline constexpr std::size_t kTicketNameBytes = 16;
inline constexpr std::size_t kTicketIvBytes = 16;
inline constexpr std::size_t kTicketMacBytes = 32;
/// The most that the protection adds to a session.
inline constexpr std::size_t kTicketOverheadBytes = kTicketNameBytes + kTicketIvBytes + 16 + kTicketMacBytes;

/// The size of the ticket of a session of `session_bytes`.
[[nodiscard]] std::size_t ticket_bytes(std::size_t session_bytes);

/// The name of the key of `ticket`, which is longer than kTicketNameBytes.
[[nodiscard]] std::span<const unsigned char, kTicketNameBytes> ticket_name(Octets ticket);

/// Whether `ticket` was made with `key`, which has its name. About two microseconds.
[[nodiscard]] bool is_ticket_of(const TicketKey& key, Octets ticket);

/// Protects sessions, with one context of the library for all of them.
class TicketProtection {
 public:
  /// `library` must outlive it.
  explicit TicketProtection(const LibraryContext& library) : library_(library) {}

  /// Fills `ticket`, which has ticket_bytes(). False when the library fails.
  [[nodiscard]] bool seal(Octets session, const TicketKey& key, Octets iv, std::span<std::byte> ticket);
  /// Returns the session in `ticket`; empty when `key` did not make it, or the library fails. The caller
  /// wipes it.
  [[nodiscard]] std::vector<std::byte> open(Octets ticket, const TicketKey& key);

  /// Overwrites the key of the last call: the library's memory may be written to the swap space, and that of
  /// the keys may not.
  void forget_key();

 private:
  [[nodiscard]] bool make_context();

  const LibraryContext& library_;
  CipherCtxPtr cipher_;  // made when it is needed first
};

}  // namespace headgate
