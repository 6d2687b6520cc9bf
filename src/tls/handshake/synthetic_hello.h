#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace headgate {

/// Makes the ClientHello that a browser of today might send, in one record, for parse_client_hello(): TLS 1.3
/// and 1.2, ECDHE, certificates with ECDSA, Ed25519 and RSA. It asks for `server_name` (empty: for none) and
/// offers `alpn` in this order (empty: no ALPN). It explains what a listener would do; no handshake can go on
/// from it, since it shares no key. Pure; any thread.
///
/// Errors: kInvalid, for a name or a protocol that is longer than 255 bytes, or an empty protocol.
[[nodiscard]] Result<std::vector<std::byte>> synthetic_client_hello(std::string_view server_name,
                                                                    const std::vector<std::string>& alpn);

}  // namespace headgate
