#include "tls/library/library_context.h"

#include <utility>

#include <openssl/base.h>
#include <openssl/hkdf.h>
#include <openssl/rand.h>

#include "tls/octets.h"

namespace headgate {

/// AWS-LC has one set of algorithms for the process, and none of it is fetched.
struct LibraryObjects {};

LibraryContext::LibraryContext(std::unique_ptr<LibraryObjects> objects) : objects_(std::move(objects)) {}

LibraryContext::~LibraryContext() = default;

Result<std::unique_ptr<LibraryContext>> LibraryContext::make() {
  return std::make_unique<LibraryContext>(std::make_unique<LibraryObjects>());
}

std::string LibraryContext::version() {
  return "AWS-LC " AWSLC_VERSION_NUMBER_STRING;
}

std::string LibraryContext::own_x25519() {
  return {};
}

// The library that deploy/awslc builds is not the one that was validated.
bool LibraryContext::is_fips() const {
  return false;
}

const EVP_CIPHER* LibraryContext::aes_256_cbc() const {
  return EVP_aes_256_cbc();
}

SslCtxPtr LibraryContext::new_ssl_ctx(const SSL_METHOD* method, config::X25519) const {
  return SslCtxPtr(SSL_CTX_new(method));
}

bool LibraryContext::random(std::span<unsigned char> into) const {
  return RAND_bytes(into.data(), into.size()) == 1;
}

bool LibraryContext::hkdf_sha256(std::span<const std::byte> secret, std::span<const unsigned char> info,
                                 std::span<unsigned char> into) const {
  return HKDF(into.data(), into.size(), EVP_sha256(), as_octets(secret.data()), secret.size(), nullptr, 0,
              info.data(), info.size()) == 1;
}

}  // namespace headgate
