#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"
#include "config/config.h"
#include "tls/library/openssl_types.h"

namespace headgate {

/// What a LibraryContext has of its library: a type of each library's own.
struct LibraryObjects;

/// A context of the TLS library, with the algorithms every handshake needs fetched once.
///
/// One for each worker, and one for the supervisor: threads then meet on none of OpenSSL's locks. On OpenSSL
/// it is built from the system's openssl.cnf, so providers configured there (FIPS, PKCS#11) are used; AWS-LC
/// has neither contexts nor a configuration file, nor locks that threads share. Neither copied nor moved; it
/// must outlive everything made from it. The context itself may be used by any thread; the supervisor may
/// build a worker's ServerContext with it while the worker runs.
class LibraryContext {
 public:
  /// Errors: kInvalid when the configuration file of OpenSSL is broken or an algorithm is missing.
  [[nodiscard]] static Result<std::unique_ptr<LibraryContext>> make();

  /// The version of the library that runs, not of the one at compile time: "OpenSSL 3.0.17 1 Jul 2025".
  [[nodiscard]] static std::string version();
  /// The implementation of X25519 that handshakes use in place of the library's, unless FIPS or
  /// X25519::kOpenssl forbids it: "lib25519". Empty: the program has none.
  [[nodiscard]] static std::string own_x25519();

  explicit LibraryContext(std::unique_ptr<LibraryObjects> objects);
  LibraryContext(const LibraryContext&) = delete;
  LibraryContext& operator=(const LibraryContext&) = delete;
  ~LibraryContext();

  /// For the files of one library alone.
  [[nodiscard]] const LibraryObjects& objects() const { return *objects_; }
  /// Whether the library is configured for FIPS: then only the algorithms of its FIPS provider are used.
  [[nodiscard]] bool is_fips() const;
  [[nodiscard]] const EVP_CIPHER* aes_256_cbc() const;
  /// An SSL_CTX for `method`, which finds the program's own key schedule and X25519 where there are such.
  /// nullptr: the library's error queue says why.
  [[nodiscard]] SslCtxPtr new_ssl_ctx(const SSL_METHOD* method,
                                      config::X25519 x25519 = config::X25519::kAuto) const;
  /// Fills `into` from the random generator. False when the library fails.
  [[nodiscard]] bool random(std::span<unsigned char> into) const;
  /// HKDF with SHA-256 and without a salt. RFC 5869. False when the library fails.
  [[nodiscard]] bool hkdf_sha256(std::span<const std::byte> secret, std::span<const unsigned char> info,
                                 std::span<unsigned char> into) const;

 private:
  std::unique_ptr<LibraryObjects> objects_;
};

}  // namespace headgate
