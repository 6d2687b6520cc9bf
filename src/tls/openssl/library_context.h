#pragma once

#include <optional>

#include "base/result.h"
#include "tls/openssl/key_schedule.h"
#include "tls/openssl/offloaded_key.h"
#include "tls/openssl/openssl_types.h"

namespace headgate {

/// An OpenSSL library context of its own, with the algorithms every handshake needs fetched once.
///
/// One for each worker, and one for the supervisor: threads then meet on none of OpenSSL's locks. Built from
/// the system's openssl.cnf, so providers configured there (FIPS, PKCS#11) are used. Neither copied nor
/// moved; it must outlive everything made from it. The context itself may be used by any thread; the
/// supervisor may build a worker's ServerContext with it while the worker runs.
class LibraryContext {
 public:
  /// Errors: kInvalid when the configuration file of OpenSSL is broken or an algorithm is missing.
  [[nodiscard]] static Result<std::unique_ptr<LibraryContext>> make();

  /// The version of the library that runs, not of the one at compile time: "OpenSSL 3.0.17 1 Jul 2025".
  [[nodiscard]] static std::string version();

  LibraryContext(const LibraryContext&) = delete;
  LibraryContext& operator=(const LibraryContext&) = delete;

  [[nodiscard]] OSSL_LIB_CTX* get() const { return context_.get(); }
  /// The property query with which SSL_CTX_new_ex() finds the key schedules of this program.
  [[nodiscard]] const char* tls_properties() const { return key_schedule_->properties(); }
  /// Whether OpenSSL is configured for FIPS: then only the FIPS provider's algorithms are used.
  [[nodiscard]] bool is_fips() const { return key_schedule_->properties() == nullptr; }
  [[nodiscard]] const EVP_CIPHER* aes_256_cbc() const { return aes_256_cbc_.get(); }
  [[nodiscard]] const EVP_MD* sha256() const { return sha256_.get(); }
  [[nodiscard]] EVP_KDF* hkdf() const { return hkdf_.get(); }

 private:
  LibraryContext() = default;

  LibCtxPtr context_;                            // first: what follows was fetched from it
  std::optional<KeySchedule> key_schedule_;      // set by make()
  std::optional<OffloadedKeys> offloaded_keys_;  // set by make()
  CipherPtr aes_256_cbc_;
  DigestPtr sha256_;
  KdfPtr hkdf_;
};

}  // namespace headgate
