#pragma once

#include <cstddef>
#include <vector>

#include "tls/openssl/openssl_types.h"

/// Certificates compressed in the handshake, RFC 8879, where OpenSSL has it: from 3.2 on, and built with
/// zlib, brotli or zstd. Elsewhere these functions find nothing to do. CMake chooses between their two files.
namespace headgate {

/// A Certificate message by one algorithm. What OpenSSL compresses has no staple in it.
struct CompressedCertificate {
  int algorithm;  ///< RFC 8879, section 7.3.
  std::size_t plain_size_bytes;
  std::vector<std::byte> bytes;
};
using CompressedCertificates = std::vector<CompressedCertificate>;

/// What `ssl` presents, by each algorithm that this OpenSSL was built with and that makes it smaller. Takes
/// some hundred microseconds, so the result is to be kept.
[[nodiscard]] CompressedCertificates compress_certificate(SSL* ssl);
/// Has `ssl` send one of these to a client that can read it. They are of what it presents.
void offer_compressed(SSL* ssl, const CompressedCertificates& certificates);
/// The same for every SSL that `context` makes, and presents its certificate.
void offer_compressed(SSL_CTX* context);

/// Whether the message that `ssl` has just written, as its info callback sees it, was a compressed
/// certificate.
[[nodiscard]] bool has_sent_compressed_certificate(const SSL* ssl);

}  // namespace headgate
