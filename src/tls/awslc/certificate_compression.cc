#include "tls/library/certificate_compression.h"

// AWS-LC compresses no certificates by itself.
namespace headgate {

CompressedCertificates compress_certificate(SSL*) {
  return {};
}

void offer_compressed(SSL*, const CompressedCertificates&) {}

void offer_compressed(SSL_CTX*) {}

}  // namespace headgate
