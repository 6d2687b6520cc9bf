#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ocsp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

namespace headgate {

/// An entry of the error queue: the two libraries number in types of their own.
using ErrorCode = decltype(ERR_peek_error());

/// Frees an OpenSSL object with the function that belongs to its type.
template <auto Free>
struct FreedBy {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};

/// Frees a stack of certificates and the references it holds.
inline void free_certificates(STACK_OF(X509) * stack) {
  sk_X509_pop_free(stack, X509_free);
}

/// Frees memory that OpenSSL allocated for its caller.
inline void free_memory(void* memory) {
  OPENSSL_free(memory);
}

using AccessDescriptionsPtr = std::unique_ptr<AUTHORITY_INFO_ACCESS, FreedBy<AUTHORITY_INFO_ACCESS_free>>;
using BioMethodPtr = std::unique_ptr<BIO_METHOD, FreedBy<BIO_meth_free>>;
using BioPtr = std::unique_ptr<BIO, FreedBy<BIO_free_all>>;
using BnPtr = std::unique_ptr<BIGNUM, FreedBy<BN_free>>;
using CertificatesPtr = std::unique_ptr<STACK_OF(X509), FreedBy<free_certificates>>;
using CipherCtxPtr = std::unique_ptr<EVP_CIPHER_CTX, FreedBy<EVP_CIPHER_CTX_free>>;
using CrlPtr = std::unique_ptr<X509_CRL, FreedBy<X509_CRL_free>>;
using DigestCtxPtr = std::unique_ptr<EVP_MD_CTX, FreedBy<EVP_MD_CTX_free>>;
using DistributionPointPtr = std::unique_ptr<ISSUING_DIST_POINT, FreedBy<ISSUING_DIST_POINT_free>>;
using ExtendedKeyUsagePtr = std::unique_ptr<EXTENDED_KEY_USAGE, FreedBy<EXTENDED_KEY_USAGE_free>>;
using ExtensionPtr = std::unique_ptr<X509_EXTENSION, FreedBy<X509_EXTENSION_free>>;
using GeneralNamesPtr = std::unique_ptr<GENERAL_NAMES, FreedBy<GENERAL_NAMES_free>>;
using OctetsPtr = std::unique_ptr<unsigned char, FreedBy<free_memory>>;
using OcspBasicPtr = std::unique_ptr<OCSP_BASICRESP, FreedBy<OCSP_BASICRESP_free>>;
using OcspResponsePtr = std::unique_ptr<OCSP_RESPONSE, FreedBy<OCSP_RESPONSE_free>>;
using Pkcs8Ptr = std::unique_ptr<PKCS8_PRIV_KEY_INFO, FreedBy<PKCS8_PRIV_KEY_INFO_free>>;
using PkeyCtxPtr = std::unique_ptr<EVP_PKEY_CTX, FreedBy<EVP_PKEY_CTX_free>>;
using PkeyPtr = std::unique_ptr<EVP_PKEY, FreedBy<EVP_PKEY_free>>;
using SessionPtr = std::unique_ptr<SSL_SESSION, FreedBy<SSL_SESSION_free>>;
using SslCtxPtr = std::unique_ptr<SSL_CTX, FreedBy<SSL_CTX_free>>;
using SslPtr = std::unique_ptr<SSL, FreedBy<SSL_free>>;
using TextPtr = std::unique_ptr<char, FreedBy<free_memory>>;
using X509Ptr = std::unique_ptr<X509, FreedBy<X509_free>>;
using X509StorePtr = std::unique_ptr<X509_STORE, FreedBy<X509_STORE_free>>;

/// Bytes in memory that OpenSSL allocated.
struct EncodedOctets {
  OctetsPtr memory;
  std::size_t size = 0;

  [[nodiscard]] std::span<const unsigned char> bytes() const { return {memory.get(), size}; }
};

/// `object` as Encode (an i2d function) writes it; empty when it cannot.
template <auto Encode, class Object>
[[nodiscard]] EncodedOctets encoded(Object* object) {
  unsigned char* memory = nullptr;
  const int size = Encode(object, &memory);
  return {OctetsPtr(memory), size > 0 ? static_cast<std::size_t>(size) : 0};
}

/// Another owner of the same certificate.
inline X509Ptr share(X509* certificate) {
  X509_up_ref(certificate);
  return X509Ptr(certificate);
}

}  // namespace headgate
