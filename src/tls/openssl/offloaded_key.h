#pragma once

#include <memory>

#include "base/result.h"
#include "tls/openssl/openssl_types.h"

namespace headgate {

class LibraryContext;

/// The private keys that are used on another thread, as an OpenSSL provider that is part of the program: the
/// key management of RSA and RSA-PSS, RSA's signatures and RSA's decryption.
///
/// Such a key is a reference to the real one, which belongs to the library context of the thread that uses
/// it. Where OpenSSL wants a signature, a PrivateKeyOperation is handed out and the handshake pauses: see
/// OffloadingKeys. The provider cannot export a key, so OpenSSL never falls back to an implementation of its
/// own for it. Loaded into one library context, beside the providers that are there; nothing else prefers it.
class OffloadedKeys {
 public:
  /// Errors: kSystem, when OpenSSL cannot load the provider.
  [[nodiscard]] static Result<OffloadedKeys> load(OSSL_LIB_CTX* library);

 private:
  explicit OffloadedKeys(ProviderPtr provider) : provider_(std::move(provider)) {}

  ProviderPtr provider_;
};

/// A key for `library` that stands for `key`, an RSA or RSA-PSS key of `home`, which it keeps alive. Any
/// thread. Errors: kInvalid, with OpenSSL's reason.
[[nodiscard]] Result<PkeyPtr> offload_key(PkeyPtr key, std::shared_ptr<const LibraryContext> home,
                                          const LibraryContext& library);

}  // namespace headgate
