#pragma once

#include <cstdint>

#include "tls/library/openssl_types.h"

namespace headgate {

/// The SignatureScheme (RFC 8446, section 4.2.3) with which the handshake of `ssl` asked for a signature of
/// ours last; 0 for none.
[[nodiscard]] std::uint16_t scheme_of_own_signature(const SSL* ssl);

}  // namespace headgate
