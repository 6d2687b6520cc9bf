#include "tls/record/hkdf.h"

#include <string>

#include <gtest/gtest.h>
#include <openssl/hmac.h>

#include "tls/octets.h"
#include "unit/tls/record/record_bytes.h"

namespace headgate {
namespace {

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

ByteVector bytes_counting_to(std::size_t size) {
  ByteVector bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i + 1);
  return bytes;
}

ByteVector hmac_of(Hash hash, const ByteVector& key, const ByteVector& data) {
  ByteVector mac(size_bytes(hash));
  unsigned size = 0;
  EXPECT_NE(
      HMAC(hash == Hash::kSha256 ? EVP_sha256() : EVP_sha384(), key.data(), static_cast<int>(key.size()),
           as_octets(data.data()), data.size(), as_octets(mac.data()), &size),
      nullptr);
  return mac;
}

// RFC 8446, section 7.1, and RFC 5869, section 2.3.
TEST(Hkdf, ExpandsLabelsWithTheLibrarysHmac) {
  for (const Hash hash : {Hash::kSha256, Hash::kSha384}) {
    const ByteVector secret = bytes_counting_to(size_bytes(hash)),
                     context = bytes_counting_to(size_bytes(hash));
    for (const std::size_t size : {std::size_t{1}, std::size_t{12}, size_bytes(hash), std::size_t{200}}) {
      ByteVector info{std::byte{0}, static_cast<std::byte>(size), std::byte{13}};
      append(info, text_bytes("tls13 a label"));
      info.push_back(static_cast<std::byte>(context.size()));
      append(info, context);
      ByteVector expected, block;
      for (unsigned char number = 1; expected.size() < size; ++number) {
        append(block, info);
        block.push_back(std::byte{number});
        block = hmac_of(hash, secret, block);
        append(expected, block);
      }
      expected.resize(size);
      ByteVector ours(size);
      expand_label(hash, secret, "a label", context, ours);
      EXPECT_EQ(ours, expected) << size;
    }
  }
}

// RFC 5246, section 5.
TEST(PHash, IsThatOfTheLibrarysHmac) {
  for (const Hash hash : {Hash::kSha256, Hash::kSha384}) {
    for (const std::size_t secret_size : {1U, 48U, 129U, 512U}) {
      const ByteVector secret = bytes_counting_to(secret_size);
      const ByteVector label = bytes_counting_to(13), random = bytes_counting_to(64);
      ByteVector seed = label;
      append(seed, random);
      ByteVector expected;
      for (ByteVector a = hmac_of(hash, secret, seed); expected.size() < 300; a = hmac_of(hash, secret, a)) {
        ByteVector input = a;
        append(input, seed);
        append(expected, hmac_of(hash, secret, input));
      }
      for (const std::size_t size : {12U, 48U, 300U}) {
        ByteVector ours(size);
        const Octets parts[] = {label, random};
        p_hash(hash, secret, parts, ours);
        EXPECT_EQ(ours, ByteVector(expected.begin(), expected.begin() + static_cast<std::ptrdiff_t>(size)))
            << secret_size << " " << size;
      }
    }
  }
}

}  // namespace
}  // namespace headgate
