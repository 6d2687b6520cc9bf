#include "tls/library/keys.h"

#include <array>
#include <memory>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/params.h>

#include "base/secret_bytes.h"
#include "tls/library/openssl_call.h"
#include "tls/openssl/library_objects.h"

namespace headgate {
namespace {

using NumberPtr = std::unique_ptr<BIGNUM, FreedBy<BN_clear_free>>;

const char* curve_of(KeyType type) {
  switch (type) {
    case KeyType::kP384:
      return "P-384";
    case KeyType::kP521:
      return "P-521";
    default:
      return "P-256";
  }
}

/// OpenSSL's number of a key type; EVP_PKEY_NONE for those that only a provider knows. Naming it spares
/// OpenSSL 3.0 from trying every decoder it has, which takes three times as long.
int evp_type(KeyType type) {
  switch (type) {
    case KeyType::kP256:
    case KeyType::kP384:
    case KeyType::kP521:
      return EVP_PKEY_EC;
    case KeyType::kRsa:
      return EVP_PKEY_RSA;
    case KeyType::kRsaPss:
      return EVP_PKEY_RSA_PSS;
    case KeyType::kEd25519:
      return EVP_PKEY_ED25519;
    case KeyType::kEd448:
      return EVP_PKEY_ED448;
    case KeyType::kMlDsa44:
    case KeyType::kMlDsa65:
    case KeyType::kMlDsa87:
      return EVP_PKEY_NONE;
  }
  return EVP_PKEY_NONE;
}

}  // namespace

Result<X509Ptr> parse_certificate(std::span<const std::byte> der, const LibraryContext* library) {
  return call_openssl(ErrorKind::kInvalid, "OpenSSL cannot read the certificate", [&] {
    // d2i_X509() parses into an object that belongs to the library context, and frees it on failure.
    X509* certificate = X509_new_ex(openssl_context(library), nullptr);
    const auto* at = reinterpret_cast<const unsigned char*>(der.data());
    return X509Ptr(d2i_X509(&certificate, &at, static_cast<long>(der.size())));
  });
}

Result<PkeyPtr> parse_private_key(std::span<const std::byte> der, KeyType type,
                                  const LibraryContext* library) {
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  const int number = evp_type(type);
  const auto size = static_cast<long>(der.size());
  return call_openssl(ErrorKind::kInvalid, "OpenSSL cannot read the private key", [&] {
    return PkeyPtr(number == EVP_PKEY_NONE
                       ? d2i_AutoPrivateKey_ex(nullptr, &at, size, openssl_context(library), nullptr)
                       : d2i_PrivateKey_ex(number, nullptr, &at, size, openssl_context(library), nullptr));
  });
}

Result<PkeyPtr> ec_key_pair(KeyType type, std::span<const std::byte> private_number,
                            std::span<const std::byte> public_point, const LibraryContext* library) {
  const NumberPtr number(BN_bin2bn(reinterpret_cast<const unsigned char*>(private_number.data()),
                                   static_cast<int>(private_number.size()), nullptr));
  SecretBytes native(private_number.size());  // in the machine's byte order, which parameters need
  auto* native_bytes = reinterpret_cast<unsigned char*>(native.data());
  auto* point = reinterpret_cast<unsigned char*>(const_cast<std::byte*>(public_point.data()));
  auto* curve = const_cast<char*>(curve_of(type));
  return call_openssl(ErrorKind::kInvalid, "OpenSSL cannot read the private key", [&] {
    const PkeyCtxPtr context(EVP_PKEY_CTX_new_from_name(openssl_context(library), "EC", nullptr));
    if (context == nullptr || number == nullptr ||
        BN_bn2nativepad(number.get(), native_bytes, static_cast<int>(native.size())) <= 0 ||
        EVP_PKEY_fromdata_init(context.get()) != 1)
      return PkeyPtr();
    std::array<OSSL_PARAM, 4> parameters{
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, curve, 0),
        OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_PRIV_KEY, native_bytes, native.size()),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, public_point.size()),
        OSSL_PARAM_construct_end()};
    EVP_PKEY* key = nullptr;
    EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_KEYPAIR, parameters.data());
    return PkeyPtr(key);
  });
}

PkeyPtr new_p256_key() {
  return PkeyPtr(EVP_EC_gen("P-256"));
}

bool is_same_key(const EVP_PKEY* one, const EVP_PKEY* other) {
  return ask_openssl([&] { return EVP_PKEY_eq(one, other); }) == 1;
}

}  // namespace headgate
