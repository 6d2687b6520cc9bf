#include "tls/library/keys.h"

#include <memory>

#include <openssl/bn.h>
#include <openssl/ec_key.h>

#include "tls/library/openssl_call.h"
#include "tls/octets.h"

namespace headgate {
namespace {

using NumberPtr = std::unique_ptr<BIGNUM, FreedBy<BN_clear_free>>;
using EcPointPtr = std::unique_ptr<EC_POINT, FreedBy<EC_POINT_free>>;
using EcKeyPtr = std::unique_ptr<EC_KEY, FreedBy<EC_KEY_free>>;

int curve_of(KeyType type) {
  switch (type) {
    case KeyType::kP384:
      return NID_secp384r1;
    case KeyType::kP521:
      return NID_secp521r1;
    default:
      return NID_X9_62_prime256v1;
  }
}

bool set_public_point(EC_KEY* key, std::span<const std::byte> bytes) {
  const EC_GROUP* group = EC_KEY_get0_group(key);
  const EcPointPtr point(EC_POINT_new(group));
  return point != nullptr &&
         EC_POINT_oct2point(group, point.get(), as_octets(bytes.data()), bytes.size(), nullptr) == 1 &&
         EC_KEY_set_public_key(key, point.get()) == 1;
}

PkeyPtr key_of(EC_KEY* key) {
  PkeyPtr made(EVP_PKEY_new());
  return made != nullptr && EVP_PKEY_set1_EC_KEY(made.get(), key) == 1 ? std::move(made) : nullptr;
}

}  // namespace

Result<X509Ptr> parse_certificate(std::span<const std::byte> der, const LibraryContext*) {
  return call_openssl(ErrorKind::kInvalid, "AWS-LC cannot read the certificate", [&] {
    const auto* at = as_octets(der.data());
    return X509Ptr(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  });
}

// d2i_AutoPrivateKey() counts the parts of a key, and takes an EC key without its public point for another
// kind.
Result<PkeyPtr> parse_private_key(std::span<const std::byte> der, KeyType type, const LibraryContext*) {
  return call_openssl(ErrorKind::kInvalid, "AWS-LC cannot read the private key", [&] {
    const auto* at = as_octets(der.data());
    const auto size = static_cast<long>(der.size());
    return PkeyPtr(is_ecdsa(type) ? d2i_PrivateKey(EVP_PKEY_EC, nullptr, &at, size)
                                  : d2i_AutoPrivateKey(nullptr, &at, size));
  });
}

Result<PkeyPtr> ec_key_pair(KeyType type, std::span<const std::byte> private_number,
                            std::span<const std::byte> public_point, const LibraryContext*) {
  return call_openssl(ErrorKind::kInvalid, "AWS-LC cannot read the private key", [&] {
    const NumberPtr number(BN_bin2bn(as_octets(private_number.data()), private_number.size(), nullptr));
    const EcKeyPtr key(EC_KEY_new_by_curve_name(curve_of(type)));
    const bool made = number != nullptr && key != nullptr &&
                      EC_KEY_set_private_key(key.get(), number.get()) == 1 &&
                      set_public_point(key.get(), public_point);
    return made ? key_of(key.get()) : nullptr;
  });
}

PkeyPtr new_p256_key() {
  const EcKeyPtr key(EC_KEY_new_by_curve_name(NID_X9_62_prime256v1));
  return key != nullptr && EC_KEY_generate_key(key.get()) == 1 ? key_of(key.get()) : nullptr;
}

bool is_same_key(const EVP_PKEY* one, const EVP_PKEY* other) {
  return ask_openssl([&] { return EVP_PKEY_cmp(one, other); }) == 1;
}

}  // namespace headgate
