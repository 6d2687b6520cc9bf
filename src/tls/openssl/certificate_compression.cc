#include "tls/library/certificate_compression.h"

#include "tls/library/openssl_call.h"

// For OpenSSL 3.2 and later. A call for an algorithm fails if OpenSSL was built without it.
namespace headgate {

CompressedCertificates compress_certificate(SSL* ssl) {
  CompressedCertificates all;
  for (int algorithm = TLSEXT_comp_cert_none + 1; algorithm < TLSEXT_comp_cert_limit; ++algorithm) {
    unsigned char* data = nullptr;
    std::size_t plain_size = 0;
    // It fails for an algorithm that this OpenSSL lacks.
    const std::size_t size =
        ask_openssl([&] { return SSL_get1_compressed_cert(ssl, algorithm, &data, &plain_size); });
    const OctetsPtr owned(data);
    if (size == 0 || size >= plain_size) continue;
    const auto* bytes = reinterpret_cast<const std::byte*>(data);
    all.push_back({algorithm, plain_size, {bytes, bytes + size}});
  }
  return all;
}

void offer_compressed(SSL* ssl, const CompressedCertificates& certificates) {
  for (const CompressedCertificate& one : certificates) {
    auto* bytes =
        reinterpret_cast<unsigned char*>(const_cast<std::byte*>(one.bytes.data()));  // it copies them
    SSL_set1_compressed_cert(ssl, one.algorithm, bytes, one.bytes.size(), one.plain_size_bytes);
  }
}

void offer_compressed(SSL_CTX* context) {
  ask_openssl([&] { return SSL_CTX_compress_certs(context, TLSEXT_comp_cert_none); });  // by every algorithm
}

}  // namespace headgate
