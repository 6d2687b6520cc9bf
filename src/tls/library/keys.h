#pragma once

#include <cstddef>
#include <span>

#include "base/result.h"
#include "tls/certificate/certificate_fields.h"
#include "tls/library/openssl_types.h"

/// Certificates and keys as objects of the library, from DER or from their numbers. `library` is nullptr for
/// the process's default context. Any thread. Errors: kInvalid, with the library's reason.
namespace headgate {

class LibraryContext;

[[nodiscard]] Result<X509Ptr> parse_certificate(std::span<const std::byte> der,
                                                const LibraryContext* library);
[[nodiscard]] Result<PkeyPtr> parse_private_key(std::span<const std::byte> der, KeyType type,
                                                const LibraryContext* library);

/// A key pair on the curve of `type` from its private number and its public point, which belong together.
/// OpenSSL gets the numbers, because decoding the key takes it seven times as long: 130 us instead of 19 us,
/// for every certificate that is served for the first time.
[[nodiscard]] Result<PkeyPtr> ec_key_pair(KeyType type, std::span<const std::byte> private_number,
                                          std::span<const std::byte> public_point,
                                          const LibraryContext* library);

/// A fresh key on P-256; nullptr when the library fails.
[[nodiscard]] PkeyPtr new_p256_key();

/// Whether the public halves of both are the same.
[[nodiscard]] bool is_same_key(const EVP_PKEY* one, const EVP_PKEY* other);

}  // namespace headgate
