#pragma once

#include <memory>

#include "base/result.h"
#include "tls/certificate/certificate.h"
#include "tls/openssl/library_context.h"
#include "tls/openssl/openssl_types.h"

namespace headgate {

/// A certificate, its key and its chain as OpenSSL objects.
struct CertificateMaterial {
  X509Ptr leaf;
  PkeyPtr key;
  CertificatesPtr chain;
};

/// Has OpenSSL parse `certificate` within `library` (nullptr: the process's default context). Takes up to two
/// milliseconds on OpenSSL 3.0. Any thread. Errors: kInvalid, with OpenSSL's reason.
[[nodiscard]] Result<CertificateMaterial> materialise(const StoredCertificate& certificate,
                                                      OSSL_LIB_CTX* library);

/// The same for the intermediates alone, which many leaves share.
[[nodiscard]] Result<CertificatesPtr> materialise(const CertificateChain& chain, OSSL_LIB_CTX* library);
/// The same for a certificate whose intermediates were parsed before; the result shares `chain`.
[[nodiscard]] Result<CertificateMaterial> materialise(const StoredCertificate& certificate,
                                                      STACK_OF(X509) * chain, OSSL_LIB_CTX* library);

/// The same with a key that is used on the thread to which `offload` belongs: see
/// tls/openssl/offloaded_key.h.
[[nodiscard]] Result<CertificateMaterial> materialise_offloaded(
    const StoredCertificate& certificate, STACK_OF(X509) * chain, const LibraryContext& library,
    const std::shared_ptr<const LibraryContext>& offload);

/// The same for one certificate or one private key in DER.
[[nodiscard]] Result<X509Ptr> parse_certificate(std::span<const std::byte> der, OSSL_LIB_CTX* library);
[[nodiscard]] Result<PkeyPtr> parse_private_key(std::span<const std::byte> der, KeyType type,
                                                OSSL_LIB_CTX* library);

}  // namespace headgate
