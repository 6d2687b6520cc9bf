#pragma once

#include <memory>

#include "base/result.h"
#include "tls/openssl/provider_types.h"

namespace headgate {

/// The private keys that are used on another thread, as an OpenSSL provider that is part of the program: the
/// key management of RSA and RSA-PSS, RSA's signatures and RSA's decryption.
///
/// Such a key is a reference to the real one, which belongs to the library context of the thread that uses
/// it. Where OpenSSL wants a signature, a PrivateKeyOperation is handed out and the handshake pauses: see
/// tls/library/key_use.h. The provider cannot export a key, so OpenSSL never falls back to an implementation
/// of its own for it. Loaded into one library context, beside the providers that are there; nothing else
/// prefers it.
class OffloadedKeys {
 public:
  /// Errors: kSystem, when OpenSSL cannot load the provider.
  [[nodiscard]] static Result<OffloadedKeys> load(OSSL_LIB_CTX* library);

 private:
  explicit OffloadedKeys(ProviderPtr provider) : provider_(std::move(provider)) {}

  ProviderPtr provider_;
};

}  // namespace headgate
