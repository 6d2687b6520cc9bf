#pragma once

#include <memory>

#include "base/result.h"
#include "tls/certificate/certificate.h"
#include "tls/library/keys.h"
#include "tls/library/library_context.h"
#include "tls/library/openssl_types.h"

namespace headgate {

/// A certificate, its key and its chain as OpenSSL objects.
struct CertificateMaterial {
  X509Ptr leaf;
  PkeyPtr key;
  CertificatesPtr chain;
};

/// Has the library parse `certificate` within `library` (nullptr: the process's default context). Takes up to
/// two milliseconds on OpenSSL 3.0. Any thread. Errors: kInvalid, with OpenSSL's reason.
[[nodiscard]] Result<CertificateMaterial> materialise(const StoredCertificate& certificate,
                                                      const LibraryContext* library);

/// The same for the intermediates alone, which many leaves share.
[[nodiscard]] Result<CertificatesPtr> materialise(const CertificateChain& chain,
                                                  const LibraryContext* library);
/// The same for a certificate whose intermediates were parsed before; the result shares `chain`.
[[nodiscard]] Result<CertificateMaterial> materialise(const StoredCertificate& certificate,
                                                      STACK_OF(X509) * chain, const LibraryContext* library);

/// The same with a key that is used on the thread to which `offload` belongs: see
/// tls/library/key_use.h.
[[nodiscard]] Result<CertificateMaterial> materialise_offloaded(
    const StoredCertificate& certificate, STACK_OF(X509) * chain, const LibraryContext& library,
    const std::shared_ptr<const LibraryContext>& offload);

}  // namespace headgate
