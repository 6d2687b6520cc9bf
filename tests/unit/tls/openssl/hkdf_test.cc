#include "tls/record/hkdf.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "tls/openssl/provider_types.h"
#include "unit/tls/record/record_bytes.h"

// The functions of hkdf.h against those of OpenSSL.
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
