#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/result.h"
#include "tls/certificate/certificate.h"
#include "tls/certificate/certificate_material.h"
#include "tls/library/certificate_compression.h"
#include "tls/library/library_context.h"
#include "tls/library/openssl_types.h"

namespace headgate {

/// How many certificates a worker keeps as OpenSSL objects; each is about 10 KiB.
inline constexpr std::size_t kMaterialisedCertificates = 512;
/// How many chains of intermediates a worker keeps in the same way. Few CAs issue for one listener.
inline constexpr std::size_t kMaterialisedChains = 64;

/// A worker's OpenSSL objects of the certificates it served last, made at the first handshake that asks for
/// one.
///
/// The least recently used one leaves when the cache is full. Certificates are told apart by their addresses,
/// so they must outlive the cache. A ServerContext owns the cache and holds the store. Loop thread of its
/// worker only.
class CertificateCache {
 public:
  /// RSA keys are used on the thread to which `offload` belongs; nullptr: on the caller's.
  explicit CertificateCache(const LibraryContext& library,
                            std::shared_ptr<const LibraryContext> offload = nullptr,
                            std::size_t capacity = kMaterialisedCertificates)
      : library_(library), offload_(std::move(offload)), capacity_(capacity) {}

  /// Makes `ssl` present `certificate` with its chain, and nothing else. Before its handshake.
  [[nodiscard]] Result<void> apply(SSL* ssl, const StoredCertificate& certificate);
  /// The same for every SSL that `context` makes.
  [[nodiscard]] Result<void> apply(SSL_CTX* context, const StoredCertificate& certificate);

  /// Whether the private key of `certificate` is used on another thread.
  [[nodiscard]] bool offloads(const StoredCertificate& certificate) const {
    return offload_ != nullptr && is_rsa(certificate.key_type());
  }
  [[nodiscard]] std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    const StoredCertificate* of = nullptr;
    CertificateMaterial material;
    bool used = false;
    std::optional<CompressedCertificates> compressed{};  ///< Made when it is used for the second time.
  };
  static void offer_compressed(SSL* ssl, Entry& entry);
  [[nodiscard]] Result<Entry*> entry(const StoredCertificate& certificate);
  [[nodiscard]] Result<STACK_OF(X509) *> chain(const CertificateChain& wanted);

  const LibraryContext& library_;
  std::shared_ptr<const LibraryContext> offload_;
  std::size_t capacity_;
  std::list<Entry> entries_;  // the one used last comes first
  std::unordered_map<const StoredCertificate*, std::list<Entry>::iterator> by_certificate_;
  std::unordered_map<const CertificateChain*, CertificatesPtr> chains_;  // parsed once for all leaves below
};

}  // namespace headgate
