#pragma once

#include "base/result.h"
#include "config/config.h"
#include "tls/handshake/diagnostic.h"
#include "tls/library/openssl_types.h"

namespace headgate {

/// Sets the groups, cipher suites and ciphers of `settings`. Groups that this OpenSSL lacks are left out.
/// Errors: kInvalid; the text names the key and the value that OpenSSL refuses.
[[nodiscard]] Result<void> set_algorithms(SSL_CTX* context, const config::Tls& settings);

/// Asks OpenSSL about each setting. A value that it refuses becomes a fault of its key, and each group that
/// it lacks a warning, or a note where the groups are the default ones.
void check_algorithms(const config::Tls& settings, Diagnostics& out);

}  // namespace headgate
