#pragma once

#include "tls/certificate/certificate_fields.h"
#include "tls/library/openssl_types.h"

namespace headgate {

/// Has each server of `context`, whose own order of ciphers decides, choose ChaCha20 for a client that lists
/// it first: such a client has no AES in its processor.
void prefer_chacha_where_clients_do(SSL_CTX* context);

/// Has `context` offer every cipher of the library for TLS 1.2 and 1.3, also those that its security level
/// forbids. False when the library refuses.
[[nodiscard]] bool take_every_cipher(SSL_CTX* context);

/// Has `context` take the signatures of peers with every key that Headgate verifies.
void take_signatures_of_peers(SSL_CTX* context);

/// Whether the library has handshakes with a certificate of our own that has such a key.
[[nodiscard]] bool can_present(KeyType type);

/// Whether a list of ciphers may name a security level, "@SECLEVEL=1".
[[nodiscard]] bool has_security_levels();

}  // namespace headgate
