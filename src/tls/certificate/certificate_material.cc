#include "tls/certificate/certificate_material.h"

#include "tls/certificate/ec_private_key.h"
#include "tls/openssl/offloaded_key.h"
#include "tls/openssl/openssl_call.h"

namespace headgate {
namespace {

/// OpenSSL's number of a key type; EVP_PKEY_NONE for those that only a provider knows. Naming it spares
/// OpenSSL 3.0 from trying every decoder it has, which takes three times as long.
int evp_type(KeyType type) {
  switch (type) {
    case KeyType::kP256:
    case KeyType::kP384:
    case KeyType::kP521:
      return EVP_PKEY_EC;
    case KeyType::kRsa:
      return EVP_PKEY_RSA;
    case KeyType::kRsaPss:
      return EVP_PKEY_RSA_PSS;
    case KeyType::kEd25519:
      return EVP_PKEY_ED25519;
    case KeyType::kEd448:
      return EVP_PKEY_ED448;
    case KeyType::kMlDsa44:
    case KeyType::kMlDsa65:
    case KeyType::kMlDsa87:
      return EVP_PKEY_NONE;
  }
  return EVP_PKEY_NONE;
}

/// The key of a certificate that was found to match it.
Result<PkeyPtr> key_of(const StoredCertificate& certificate, OSSL_LIB_CTX* library) {
  const auto number = ec_private_number(certificate.key_der());
  if (!number) return parse_private_key(certificate.key_der(), certificate.key_type(), library);
  const auto fields = read_certificate(certificate.leaf_der());
  if (!fields) return tl::unexpected(fields.error());
  return ec_key_pair(certificate.key_type(), *number, fields->public_key_bits, library);
}

Result<CertificateMaterial> with_key(const StoredCertificate& certificate, STACK_OF(X509) * chain,
                                     OSSL_LIB_CTX* library, PkeyPtr key) {
  auto leaf = parse_certificate(certificate.leaf_der(), library);
  if (!leaf) return tl::unexpected(leaf.error());
  auto shared = call_openssl(ErrorKind::kSystem, "OpenSSL could not keep the certificate chain",
                             [&] { return CertificatesPtr(X509_chain_up_ref(chain)); });
  if (!shared) return tl::unexpected(std::move(shared.error()));
  return CertificateMaterial{std::move(*leaf), std::move(key), *std::move(shared)};
}

}  // namespace

Result<X509Ptr> parse_certificate(std::span<const std::byte> der, OSSL_LIB_CTX* library) {
  return call_openssl(ErrorKind::kInvalid, "OpenSSL cannot read the certificate", [&] {
    // d2i_X509() parses into an object that belongs to the library context, and frees it on failure.
    X509* certificate = X509_new_ex(library, nullptr);
    const auto* at = reinterpret_cast<const unsigned char*>(der.data());
    return X509Ptr(d2i_X509(&certificate, &at, static_cast<long>(der.size())));
  });
}

Result<PkeyPtr> parse_private_key(std::span<const std::byte> der, KeyType type, OSSL_LIB_CTX* library) {
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  const int number = evp_type(type);
  const auto size = static_cast<long>(der.size());
  return call_openssl(ErrorKind::kInvalid, "OpenSSL cannot read the private key", [&] {
    return PkeyPtr(number == EVP_PKEY_NONE ? d2i_AutoPrivateKey_ex(nullptr, &at, size, library, nullptr)
                                           : d2i_PrivateKey_ex(number, nullptr, &at, size, library, nullptr));
  });
}

Result<CertificatesPtr> materialise(const CertificateChain& chain, OSSL_LIB_CTX* library) {
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
                                        OSSL_LIB_CTX* library) {
  auto key = key_of(certificate, library);
  if (!key) return tl::unexpected(key.error());
  return with_key(certificate, chain, library, *std::move(key));
}

Result<CertificateMaterial> materialise_offloaded(const StoredCertificate& certificate,
                                                  STACK_OF(X509) * chain, const LibraryContext& library,
                                                  const std::shared_ptr<const LibraryContext>& offload) {
  auto home = key_of(certificate, offload->get());
  if (!home) return tl::unexpected(home.error());
  auto key = offload_key(*std::move(home), offload, library);
  if (!key) return tl::unexpected(key.error());
  return with_key(certificate, chain, library.get(), *std::move(key));
}

Result<CertificateMaterial> materialise(const StoredCertificate& certificate, OSSL_LIB_CTX* library) {
  const auto chain = materialise(certificate.chain(), library);
  if (!chain) return tl::unexpected(chain.error());
  return materialise(certificate, chain->get(), library);
}

}  // namespace headgate
