#pragma once

#include "base/result.h"
#include "config/config.h"
#include "tls/handshake/diagnostic.h"
#include "tls/library/openssl_types.h"

namespace headgate {

/// Sets the groups, cipher suites and ciphers of `settings`. What this library lacks is left out. For the
/// thread that makes the context. Errors: kInvalid; the text names the key and the value that the library
/// refuses.
[[nodiscard]] Result<void> set_algorithms(SSL_CTX* context, const config::Tls& settings);

/// Asks the library about each setting. A value that it refuses becomes a fault of its key, and each group,
/// suite or cipher that it lacks a warning, or a note where the groups are the default ones. Any thread.
void check_algorithms(const config::Tls& settings, Diagnostics& out);

}  // namespace headgate
