#pragma once

#include <cstddef>
#include <vector>

#include "tls/library/openssl_types.h"
#include "tls/record/hkdf.h"

/// Session tickets. Both libraries make and read the same ones (RFC 5077, section 4: name, IV, AES-256-CBC,
/// HMAC-SHA-256) around the session as OpenSSL encodes it, so that a fleet may mix programs on both. The
/// functions are for the thread of the worker to which the context, the SSL or the session belongs.
namespace headgate {

/// Has the library make and open tickets with the keys and by the rules of the ServerContext that is the
/// application's data of `context`.
void use_tickets(SSL_CTX* context);

/// Has the library send `count` tickets after each full handshake of TLS 1.3. False when it refuses.
[[nodiscard]] bool set_ticket_count(SSL_CTX* context, std::size_t count);
/// Has the library send none after the handshake of `ssl`, whose client could not use them. RFC 8446, section
/// 4.2.9.
void send_no_tickets(SSL* ssl);
/// Has the library write `count` tickets, which it did not write in the handshake of `ssl`. They leave with
/// the next call that drives `ssl`.
void write_tickets(SSL* ssl, std::size_t count);

/// Returns `session` as a ticket holds it, with `key` as its pre-shared key and with `app_data`. Empty when
/// the library cannot. The session may be changed by it. The result holds the key: the caller wipes it.
[[nodiscard]] std::vector<std::byte> encode_session(SSL_SESSION* session, Octets key, Octets app_data);

}  // namespace headgate
