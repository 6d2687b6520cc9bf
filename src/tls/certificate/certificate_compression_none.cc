#include "tls/certificate/certificate_compression.h"

// For an OpenSSL before 3.2.
namespace headgate {

CompressedCertificates compress_certificate(SSL*) {
  return {};
}

void offer_compressed(SSL*, const CompressedCertificates&) {}

void offer_compressed(SSL_CTX*) {}

bool has_sent_compressed_certificate(const SSL*) {
  return false;
}

}  // namespace headgate
