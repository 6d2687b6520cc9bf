#include "tls/certificate/certificate_cache.h"

#include "tls/library/key_use.h"
#include "tls/library/openssl_call.h"

namespace headgate {

Result<CertificateCache::Entry*> CertificateCache::entry(const StoredCertificate& certificate) {
  if (const auto found = by_certificate_.find(&certificate); found != by_certificate_.end()) {
    entries_.splice(entries_.begin(), entries_, found->second);
    return &*found->second;
  }
  const auto above = chain(certificate.chain());
  if (!above) return tl::unexpected(above.error());
  auto made = offloads(certificate) ? materialise_offloaded(certificate, *above, library_, offload_)
                                    : materialise(certificate, *above, &library_);
  if (!made) return tl::unexpected(made.error());
  if (entries_.size() == capacity_) {
    by_certificate_.erase(entries_.back().of);
    entries_.pop_back();
  }
  entries_.push_front({.of = &certificate, .material = std::move(*made)});
  by_certificate_[&certificate] = entries_.begin();
  return &entries_.front();
}

Result<STACK_OF(X509) *> CertificateCache::chain(const CertificateChain& wanted) {
  if (const auto found = chains_.find(&wanted); found != chains_.end()) return found->second.get();
  auto parsed = materialise(wanted, &library_);
  if (!parsed) return tl::unexpected(parsed.error());
  if (chains_.size() == kMaterialisedChains) chains_.clear();
  return (chains_[&wanted] = std::move(*parsed)).get();
}

Result<void> CertificateCache::apply(SSL* ssl, const StoredCertificate& certificate) {
  const auto found = entry(certificate);
  if (!found) return tl::unexpected(found.error());
  const CertificateMaterial& use = (*found)->material;
  const auto used = call_openssl(ErrorKind::kInvalid, certificate.file(), [&] {
    return present(ssl, use.leaf.get(), use.key.get(), use.chain.get());
  });
  if (!used) return tl::unexpected(used.error());
  offer_compressed(ssl, **found);
  return {};
}

// Compressing costs a tenth of a handshake: too much for a certificate that is used once.
void CertificateCache::offer_compressed(SSL* ssl, Entry& entry) {
  if (entry.of->staple() != nullptr) return;  // a compressed certificate would not have the staple
  if (entry.used && !entry.compressed) entry.compressed = compress_certificate(ssl);
  if (entry.compressed) headgate::offer_compressed(ssl, *entry.compressed);
  entry.used = true;
}

Result<void> CertificateCache::apply(SSL_CTX* context, const StoredCertificate& certificate) {
  const auto found = entry(certificate);
  if (!found) return tl::unexpected(found.error());
  const CertificateMaterial& use = (*found)->material;
  const auto used = call_openssl(ErrorKind::kInvalid, certificate.file(), [&] {
    return present(context, use.leaf.get(), use.key.get(), use.chain.get());
  });
  if (!used) return tl::unexpected(used.error());
  if (certificate.staple() == nullptr) headgate::offer_compressed(context);
  return {};
}

}  // namespace headgate
