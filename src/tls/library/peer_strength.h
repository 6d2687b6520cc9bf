#pragma once

#include "tls/library/openssl_types.h"

namespace headgate {

/// Why a certificate of a verified chain is too weak, X509_V_ERR_..., or X509_V_OK: a signature with SHA-1 or
/// MD5, a key of less than 112 bits of security. OpenSSL's security level has seen to it already, and then
/// every certificate is strong enough here. Any thread.
[[nodiscard]] int weakness_of(X509* certificate);
/// The same for all of the chain that `verified` has built.
[[nodiscard]] int weakness_of_chain(X509_STORE_CTX* verified);

}  // namespace headgate
