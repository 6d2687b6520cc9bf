#pragma once

#include <cstddef>
#include <vector>

#include "tls/library/openssl_types.h"

/// Certificates compressed in the handshake (RFC 8879), with an OpenSSL from 3.2 on that was built with zlib,
/// brotli or zstd. With any other library these functions do nothing. CMake chooses between their two files.
namespace headgate {

/// A Certificate message, compressed by one algorithm. OpenSSL compresses it without a staple.
struct CompressedCertificate {
  int algorithm;  ///< RFC 8879, section 7.3.
  std::size_t plain_size_bytes;
  std::vector<std::byte> bytes;
};
using CompressedCertificates = std::vector<CompressedCertificate>;

/// The certificate that `ssl` presents, compressed by each algorithm of this OpenSSL that makes it smaller.
/// Takes some hundred microseconds, so keep the result.
[[nodiscard]] CompressedCertificates compress_certificate(SSL* ssl);
/// Has `ssl` send one of these to a client that can read it. They must be of the certificate that `ssl`
/// presents.
void offer_compressed(SSL* ssl, const CompressedCertificates& certificates);
/// The same for every SSL of `context` that presents the certificate of `context`.
void offer_compressed(SSL_CTX* context);

}  // namespace headgate
