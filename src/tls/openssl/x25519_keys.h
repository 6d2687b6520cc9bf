#pragma once

#include <string>

#include "base/result.h"
#include "tls/openssl/provider_types.h"

namespace headgate {

/// X25519 (RFC 7748) by lib25519, as an OpenSSL provider that is part of the program: key management and key
/// exchange, and the TLS group that goes with them. lib25519 takes half of OpenSSL's time for them.
///
/// It is loaded into one library context and neither replaces the other providers nor keeps them from being
/// loaded; an SSL_CTX uses it whose property query asks for `headgate.own`. Where the program was built
/// without lib25519 there is none. X25519MLKEM768 goes on using OpenSSL's.
class X25519Keys {
 public:
  /// The property of what this provider and the key schedule have. An SSL_CTX asks for it, or for the key
  /// schedule alone.
  static constexpr const char* kPreferred = "?headgate.own=yes";

  /// "lib25519". Empty: not built in.
  [[nodiscard]] static std::string implementation();
  /// Errors: kSystem, when OpenSSL cannot load it. Null: it is not built in, or `library` has no X25519.
  [[nodiscard]] static Result<ProviderPtr> load(OSSL_LIB_CTX* library);
};

}  // namespace headgate
