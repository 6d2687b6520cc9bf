#include "tls/certificate/ec_private_key.h"

#include <algorithm>
#include <array>
#include <memory>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/params.h>

#include "base/secret_bytes.h"
#include "tls/certificate/der.h"
#include "tls/openssl/openssl_call.h"

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

/// RFC 5915, section 3.
std::optional<std::span<const std::byte>> number_in_sec1(std::span<const std::byte> der) {
  const auto key = DerReader(der).next(kDerSequence);
  if (!key) return std::nullopt;
  DerReader reader(key->content);
  if (!reader.next(kDerInteger)) return std::nullopt;
  const auto number = reader.next(kDerOctetString);
  if (!number) return std::nullopt;
  return number->content;
}

}  // namespace

std::optional<std::span<const std::byte>> ec_private_number(std::span<const std::byte> key_der) {
  const auto key = DerReader(key_der).next(kDerSequence);
  if (!key) return std::nullopt;
  DerReader reader(key->content);
  if (!reader.next(kDerInteger)) return std::nullopt;
  if (reader.peek() == kDerOctetString) return number_in_sec1(key_der);
  const auto algorithm = reader.next(kDerSequence);  // PKCS#8, RFC 5958, section 2
  const auto inner = reader.next(kDerOctetString);
  const auto kind = algorithm ? DerReader(algorithm->content).next(kDerOid) : std::nullopt;
  constexpr std::array<std::byte, 7> kOidOfEcKeys{std::byte{0x2a}, std::byte{0x86}, std::byte{0x48},
                                                  std::byte{0xce}, std::byte{0x3d}, std::byte{0x02},
                                                  std::byte{0x01}};  // 1.2.840.10045.2.1
  if (!inner || !kind || !std::ranges::equal(kind->content, kOidOfEcKeys)) return std::nullopt;
  return number_in_sec1(inner->content);
}

Result<PkeyPtr> ec_key_pair(KeyType type, std::span<const std::byte> private_number,
                            std::span<const std::byte> public_point, OSSL_LIB_CTX* library) {
  const NumberPtr number(BN_bin2bn(reinterpret_cast<const unsigned char*>(private_number.data()),
                                   static_cast<int>(private_number.size()), nullptr));
  SecretBytes native(private_number.size());  // in the machine's byte order, which parameters need
  auto* native_bytes = reinterpret_cast<unsigned char*>(native.data());
  auto* point = reinterpret_cast<unsigned char*>(const_cast<std::byte*>(public_point.data()));
  auto* curve = const_cast<char*>(curve_of(type));
  return call_openssl(ErrorKind::kInvalid, "OpenSSL cannot read the private key", [&] {
    const PkeyCtxPtr context(EVP_PKEY_CTX_new_from_name(library, "EC", nullptr));
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

}  // namespace headgate
