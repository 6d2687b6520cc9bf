#pragma once

#include <cstdint>

#include "tls/library/openssl_types.h"

namespace headgate {

/// Has the library write a fatal alert on a connection whose handshake is done; `ssl` may do nothing else
/// afterwards. OpenSSL has no call for an alert of the caller's choice: there the peer gets internal_error,
/// whatever `alert` is, or nothing where OpenSSL does not send that.
void write_fatal_alert(SSL* ssl, std::uint8_t alert);

}  // namespace headgate
