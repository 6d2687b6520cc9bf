#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "tls/certificate/certificate_fields.h"
#include "tls/handshake/client_hello.h"
#include "tls/handshake/diagnostic.h"
#include "tls/library/openssl_types.h"

namespace headgate {

using Sha256 = std::array<std::byte, 32>;

/// Intermediate certificates in DER, in sending order; shared by all the leaves that were issued below them.
struct CertificateChain {
  std::vector<std::vector<std::byte>> der;
  bool operator==(const CertificateChain&) const = default;
};

/// An OCSP response to staple, and when it expires.
struct OcspStaple {
  std::vector<std::byte> der;
  WallTime next_update;
};

/// A certificate with its key, checked and kept small: DER, not OpenSSL objects. Between one and two KiB.
///
/// Immutable; shared by the certificate stores of successive configurations and read by every worker. The
/// private key's bytes are wiped when the last owner is destroyed. Any thread.
class StoredCertificate {
 public:
  /// What a StoredCertificate is made of; `names` in lower case, "*.example.com" as it stands in the
  /// certificate.
  struct Parts {
    std::string file;
    std::span<const std::byte> leaf;
    std::span<const std::byte> key;
    std::vector<std::string> names;
    std::shared_ptr<const CertificateChain> chain;
    std::shared_ptr<const OcspStaple> staple;
    KeyType key_type = KeyType::kP256;
    std::uint16_t key_bits = 0;
    WallTime not_before;
    WallTime not_after;
    Sha256 fingerprint{};
  };

  explicit StoredCertificate(const Parts& parts);
  ~StoredCertificate();
  StoredCertificate(const StoredCertificate&) = delete;
  StoredCertificate& operator=(const StoredCertificate&) = delete;

  [[nodiscard]] std::string_view file() const;
  [[nodiscard]] std::span<const std::byte> leaf_der() const;
  [[nodiscard]] std::span<const std::byte> key_der() const;  ///< PKCS#8 or the key type's traditional form.
  [[nodiscard]] std::vector<std::string_view> names() const;
  [[nodiscard]] bool holds_name(std::string_view name) const;
  [[nodiscard]] const CertificateChain& chain() const { return *chain_; }
  [[nodiscard]] const std::shared_ptr<const CertificateChain>& shared_chain() const { return chain_; }
  /// The staple to serve at `now`; nullptr when there is none, or it has expired.
  [[nodiscard]] const OcspStaple* staple_at(WallTime now) const;
  [[nodiscard]] const OcspStaple* staple() const { return staple_.get(); }
  [[nodiscard]] KeyType key_type() const { return key_type_; }
  [[nodiscard]] int key_bits() const { return key_bits_; }
  [[nodiscard]] WallTime not_before() const { return WallTime(std::chrono::seconds(not_before_)); }
  [[nodiscard]] WallTime not_after() const { return WallTime(std::chrono::seconds(not_after_)); }
  [[nodiscard]] bool is_valid_at(WallTime now) const { return not_before() <= now && now <= not_after(); }
  /// SHA-256 of the leaf's DER: the certificate's identity in tickets and in the status page.
  [[nodiscard]] const Sha256& fingerprint() const { return fingerprint_; }
  /// Bytes of memory this certificate occupies, chain aside.
  [[nodiscard]] std::size_t footprint_bytes() const;

  /// Whether a client that sent `hello` can check a signature by this key, and, below TLS 1.3, has a cipher
  /// suite for it. `version` is the one that will be negotiated, 0x0303 or 0x0304.
  [[nodiscard]] bool verifiable_by(const ClientHello& hello, std::uint16_t version) const;

 private:
  // One allocation holds the bytes one after another: leaf, key, file, names (each ended by a zero).
  std::unique_ptr<std::byte[]> bytes_;
  std::uint32_t leaf_size_, key_size_, file_size_, names_size_;
  KeyType key_type_;
  std::uint16_t key_bits_;
  std::shared_ptr<const CertificateChain> chain_;
  std::shared_ptr<const OcspStaple> staple_;
  std::int64_t not_before_, not_after_;  // seconds since the epoch
  Sha256 fingerprint_;
};

/// The files of one certificate and what was read from them.
struct CertificateInput {
  std::string certificate_file;  ///< Named in diagnostics.
  std::string key_file;          ///< The same, when the key is in the certificate's file.
  std::string_view certificate_pem;
  std::string_view key_pem;      ///< May be the same text as certificate_pem.
  bool in_directory = false;     ///< A file of `certificate_dirs`: no key of the configuration names its key.
  int warn_before_percent = 25;  ///< Of its life, left over: from then on the end is warned of.
};

/// Chains that were seen before, so that certificates of the same intermediate share one in memory. One for
/// the successive stores of a listener; one thread at a time.
class ChainPool {
 public:
  /// The chain of these certificates without the leaf: the one that was seen before, if any.
  [[nodiscard]] std::shared_ptr<const CertificateChain> intern(CertificateChain chain);
  /// Drops the chains that no certificate uses any more.
  void drop_unused();

 private:
  std::map<std::vector<std::vector<std::byte>>, std::shared_ptr<const CertificateChain>> chains_;
};

/// The use of a certificate: a listener presents one to clients, and Headgate presents one to a backend's
/// servers.
enum class CertificatePurpose : std::uint8_t { kServer, kClient };

/// A full handshake with RSA-4096 takes this many times the CPU of one with ECDSA P-256. docs/certificates.md
/// has the measurement.
inline constexpr int kRsa4096HandshakePrice = 19;

/// Parses and checks one certificate with its key, as CertificateStore::load does.
///
/// Tolerates CRLF, a byte order mark, text between the blocks, and the key before or after the certificates.
/// Every fault goes to `out` with the key "certificate" or "private_key", warnings too; nullptr when one of
/// them is an error. `now` decides about
/// validity and about "expires in 20 days". Any thread; `pool` by one thread at a time.
[[nodiscard]] std::shared_ptr<const StoredCertificate> check_certificate(const CertificateInput& input,
                                                                         CertificatePurpose purpose,
                                                                         WallTime now, ChainPool& pool,
                                                                         Diagnostics& out);

/// The time from which at most `percent` of a certificate's life is left.
[[nodiscard]] WallTime begin_of_last_share(WallTime not_before, WallTime not_after, int percent);

/// Whether a file holds certificates of CAs alone and no key, as the `ca.crt` that a Kubernetes Secret has
/// beside the certificate.
[[nodiscard]] bool holds_authorities_alone(std::string_view pem);

/// The certificate of these bytes, which another process checked; nullptr if `leaf` is none. Nothing is
/// checked again.
[[nodiscard]] std::shared_ptr<const StoredCertificate> restore_certificate(
    const std::string& file, std::span<const std::byte> leaf, std::span<const std::byte> key,
    std::shared_ptr<const CertificateChain> chain);

/// The same certificate with another staple, nullptr for none.
[[nodiscard]] std::shared_ptr<const StoredCertificate> with_staple(const StoredCertificate& certificate,
                                                                   std::shared_ptr<const OcspStaple> staple);

}  // namespace headgate
