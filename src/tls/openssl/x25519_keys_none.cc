#include "tls/openssl/x25519_keys.h"

// For a build without lib25519: OpenSSL's X25519 is used.
namespace headgate {

std::string X25519Keys::implementation() {
  return {};
}

Result<ProviderPtr> X25519Keys::load(OSSL_LIB_CTX*) {
  return ProviderPtr();
}

}  // namespace headgate
