#pragma once

#include <string>

#include "tls/library/openssl_types.h"

namespace headgate {

/// Why the verification at hand refuses a server's certificate, as a sentence for the operator: OpenSSL's
/// reason, the certificate that it is about, and for a name that does not match both names. For a verify
/// callback, which OpenSSL calls with the first fault that it finds. `wanted_name` is the one that the server
/// had to prove.
[[nodiscard]] std::string why_server_is_refused(X509_STORE_CTX* chain, const std::string& wanted_name);

}  // namespace headgate
