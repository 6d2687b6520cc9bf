#include "tls/library/certificate_compression.h"

// For an OpenSSL before 3.2, and for AWS-LC, which compresses no certificates by itself.
namespace headgate {

CompressedCertificates compress_certificate(SSL*) {
  return {};
}

void offer_compressed(SSL*, const CompressedCertificates&) {}

void offer_compressed(SSL_CTX*) {}

}  // namespace headgate
