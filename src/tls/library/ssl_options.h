#pragma once

#include "tls/certificate/certificate_fields.h"
#include "tls/library/openssl_types.h"

/// What a library does by an option, or not at all. For the thread that makes the context; the questions
/// about the library are for any thread.
namespace headgate {

/// Has each server of `context` choose ciphers in its own order, not the client's, but ChaCha20 for a client
/// that lists it first: such a client has no AES in its processor. It comes before the server's own lists are
/// set. False when the library refuses.
[[nodiscard]] bool decide_ciphers(SSL_CTX* context);

/// Has `context` offer every cipher of the library for TLS 1.2 and 1.3, also those that its security level
/// forbids. False when the library refuses.
[[nodiscard]] bool take_every_cipher(SSL_CTX* context);

/// Has `context` take the signatures of peers with every key that Headgate verifies, and make none with
/// SHA-1.
void choose_signatures(SSL_CTX* context);

/// Has each client of `context` offer every group that the library knows, those that servers want first.
void offer_every_group(SSL_CTX* context);

/// Whether the library has handshakes with a certificate of our own that has such a key.
[[nodiscard]] bool can_present(KeyType type);
/// Whether the library uses such a key only with a certificate that allows digital signatures. RFC 5280,
/// section 4.2.1.3.
[[nodiscard]] bool minds_key_usage(KeyType type);
/// What follows each list of ciphers of TLS 1.2: it takes away what no list shall have.
[[nodiscard]] const char* never_offered();

/// Whether a list of ciphers may name a security level, "@SECLEVEL=1".
[[nodiscard]] bool has_security_levels();

}  // namespace headgate
