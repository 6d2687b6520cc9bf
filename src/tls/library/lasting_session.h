#pragma once

#include "tls/library/openssl_types.h"

namespace headgate {

/// A session that the end of its connection does not spoil: OpenSSL spoils that of a connection which ends
/// without close_notify from either side. Many servers end so, which is no reason not to resume: RFC 5246,
/// section 7.2.1. nullptr when the library has no memory.
[[nodiscard]] SessionPtr lasting_session(SSL_SESSION* session);

}  // namespace headgate
