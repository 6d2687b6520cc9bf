#include "tls/record/hkdf.h"

#include <string>

#include <gtest/gtest.h>

#include "tls/openssl/openssl_types.h"
#include "unit/tls/record/record_bytes.h"

namespace headgate {
namespace {

constexpr Hash kBoth[] = {Hash::kSha256, Hash::kSha384};

std::string digest_name(Hash hash) {
  return hash == Hash::kSha256 ? "SHA256" : "SHA384";
}

ByteVector counting(std::size_t size) {
  ByteVector bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i * 7 + 1);
  return bytes;
}

OSSL_PARAM octets(const char* name, const ByteVector& bytes) {
  return OSSL_PARAM_construct_octet_string(name, const_cast<std::byte*>(bytes.data()), bytes.size());
}

/// Returns the bytes that OpenSSL's own function of that name derives.
ByteVector derived(const char* function, const std::vector<OSSL_PARAM>& params, std::size_t size) {
  const KdfPtr kdf(EVP_KDF_fetch(nullptr, function, nullptr));
  const KdfCtxPtr context(EVP_KDF_CTX_new(kdf.get()));
  ByteVector out(size);
  EXPECT_EQ(EVP_KDF_derive(context.get(), reinterpret_cast<unsigned char*>(out.data()), size, params.data()),
            1);
  return out;
}

TEST(Hkdf, ExtractsAsTestCaseOneOfRfc5869) {
  ByteVector key(32);
  extract(Hash::kSha256, hex("000102030405060708090a0b0c"), ByteVector(22, std::byte{0x0b}), key);
  EXPECT_EQ(key, hex("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5"));
}

TEST(Hkdf, ExtractsWithoutASaltAsTestCaseThreeOfRfc5869) {
  ByteVector key(32);
  extract(Hash::kSha256, {}, ByteVector(22, std::byte{0x0b}), key);
  EXPECT_EQ(key, hex("19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04"));
}

TEST(Hkdf, GoesThroughTheStagesOfTheTraceInRfc8448) {
  ByteVector early(32);
  ByteVector handshake(32);
  ByteVector master(32);
  next_stage(Hash::kSha256, {}, "derived", {}, early);
  EXPECT_EQ(early, hex("33ad0a1c607ec03b09e6cd9893680ce210adf300aa1f2660e1b22e10f170f92a"));
  const auto shared = hex("8bd4054fb55b9d63fdfbacf9f04b9f0d35e6d63f537563efd46272900f89492d");
  next_stage(Hash::kSha256, early, "derived", shared, handshake);
  EXPECT_EQ(handshake, hex("1dc826e93606aa6fdc0aadc12f741b01046aa6b99f691ed221a9f0ca043fbeac"));
  next_stage(Hash::kSha256, handshake, "derived", {}, master);
  EXPECT_EQ(master, hex("18df06843d13a08bf2a449844c5f8a478001bc4d4c627984d5a41da8d0402919"));
}

TEST(Hkdf, ExpandsLabelsOfEveryLengthAsOpensslDoes) {
  for (const Hash hash : kBoth) {
    const ByteVector secret = counting(size_bytes(hash));
    for (const std::size_t size : {std::size_t{1}, std::size_t{12}, size_bytes(hash), std::size_t{200}}) {
      for (const std::size_t context_size : {std::size_t{0}, size_bytes(hash)}) {
        const ByteVector context = counting(context_size);
        std::string digest = digest_name(hash);
        ByteVector ours(size);
        expand_label(hash, secret, "a label", context, ours);
        int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
        std::string prefix = "tls13 ";
        std::string label = "a label";
        std::vector<OSSL_PARAM> params{
            OSSL_PARAM_construct_int("mode", &mode),
            OSSL_PARAM_construct_utf8_string("digest", digest.data(), 0),
            octets("key", secret),
            OSSL_PARAM_construct_octet_string("prefix", prefix.data(), prefix.size()),
            OSSL_PARAM_construct_octet_string("label", label.data(), label.size()),
        };
        if (!context.empty()) params.push_back(octets("data", context));
        params.push_back(OSSL_PARAM_construct_end());
        EXPECT_EQ(ours, derived("TLS13-KDF", params, size)) << digest << " " << size;
      }
    }
  }
}

TEST(PHash, GivesWhatOpensslsPrfGivesForSecretsOfEveryLength) {
  for (const Hash hash : kBoth) {
    for (const std::size_t secret_size : {1U, 32U, 48U, 64U, 128U, 129U, 512U}) {
      const ByteVector secret = counting(secret_size);
      const ByteVector label = counting(13);
      const ByteVector random = counting(64);
      for (const std::size_t size : {12U, 32U, 48U, 104U, 300U}) {
        std::string digest = digest_name(hash);
        ByteVector ours(size);
        const Octets seed[] = {label, random};
        p_hash(hash, secret, seed, ours);
        const std::vector<OSSL_PARAM> params{OSSL_PARAM_construct_utf8_string("digest", digest.data(), 0),
                                             octets("secret", secret), octets("seed", label),
                                             octets("seed", random), OSSL_PARAM_construct_end()};
        EXPECT_EQ(ours, derived("TLS1-PRF", params, size)) << digest << " " << secret_size << " " << size;
      }
    }
  }
}

}  // namespace
}  // namespace headgate
