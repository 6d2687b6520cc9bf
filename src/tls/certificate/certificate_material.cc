#include "tls/certificate/certificate_material.h"

#include "tls/certificate/ec_private_key.h"
#include "tls/library/key_use.h"
#include "tls/library/openssl_call.h"

namespace headgate {
namespace {

/// The key of a certificate that was found to match it.
Result<PkeyPtr> key_of(const StoredCertificate& certificate, const LibraryContext* library) {
  const auto number = ec_private_number(certificate.key_der());
  if (!number) return parse_private_key(certificate.key_der(), certificate.key_type(), library);
  const auto fields = read_certificate(certificate.leaf_der());
  if (!fields) return tl::unexpected(fields.error());
  return ec_key_pair(certificate.key_type(), *number, fields->public_key_bits, library);
}

Result<CertificateMaterial> with_key(const StoredCertificate& certificate, STACK_OF(X509) * chain,
                                     const LibraryContext* library, PkeyPtr key) {
  auto leaf = parse_certificate(certificate.leaf_der(), library);
  if (!leaf) return tl::unexpected(leaf.error());
  auto shared = call_openssl(ErrorKind::kSystem, "OpenSSL could not keep the certificate chain",
                             [&] { return CertificatesPtr(X509_chain_up_ref(chain)); });
  if (!shared) return tl::unexpected(std::move(shared.error()));
  return CertificateMaterial{std::move(*leaf), std::move(key), *std::move(shared)};
}

}  // namespace

Result<CertificatesPtr> materialise(const CertificateChain& chain, const LibraryContext* library) {
  CertificatesPtr parsed(sk_X509_new_null());
  for (const auto& der : chain.der) {
    auto intermediate = parse_certificate(der, library);
    if (!intermediate) return tl::unexpected(intermediate.error());
    const auto kept = call_openssl(ErrorKind::kSystem, "OpenSSL could not keep the certificate chain",
                                   [&] { return sk_X509_push(parsed.get(), intermediate->get()); });
    if (!kept) return tl::unexpected(kept.error());
    static_cast<void>(intermediate->release());  // the stack owns it now
  }
  return parsed;
}

Result<CertificateMaterial> materialise(const StoredCertificate& certificate, STACK_OF(X509) * chain,
                                        const LibraryContext* library) {
  auto key = key_of(certificate, library);
  if (!key) return tl::unexpected(key.error());
  return with_key(certificate, chain, library, *std::move(key));
}

Result<CertificateMaterial> materialise_offloaded(const StoredCertificate& certificate,
                                                  STACK_OF(X509) * chain, const LibraryContext& library,
                                                  const std::shared_ptr<const LibraryContext>& offload) {
  auto home = key_of(certificate, offload.get());
  if (!home) return tl::unexpected(home.error());
  auto key = offload_key(*std::move(home), offload, library);
  if (!key) return tl::unexpected(key.error());
  return with_key(certificate, chain, &library, *std::move(key));
}

Result<CertificateMaterial> materialise(const StoredCertificate& certificate, const LibraryContext* library) {
  const auto chain = materialise(certificate.chain(), library);
  if (!chain) return tl::unexpected(chain.error());
  return materialise(certificate, chain->get(), library);
}

}  // namespace headgate
