#include "tls/traffic_keys.h"

#include <algorithm>
#include <string>

#include <gtest/gtest.h>

#include "unit/tls/record_bytes.h"

namespace headgate {
namespace {

// RFC 8448, section 3.
const auto kClientSecret = hex("9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5");
const auto kServerSecret = hex("a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643");
const std::string kRandom(64, 'c');

ByteVector key_of(const TrafficKeys& keys, std::size_t size) {
  return {keys.key.begin(), keys.key.begin() + size};
}
ByteVector iv_of(const TrafficKeys& keys) {
  return {keys.iv.begin(), keys.iv.end()};
}
ByteVector copy(std::span<const std::byte> bytes) {
  return {bytes.begin(), bytes.end()};
}

std::string to_hex(std::span<const std::byte> bytes) {
  std::string digits;
  for (const std::byte byte : bytes) {
    digits += "0123456789abcdef"[std::to_integer<unsigned>(byte) >> 4];
    digits += "0123456789abcdef"[std::to_integer<unsigned>(byte) & 15];
  }
  return digits;
}

TEST(KeyDerivation, DerivesTheKeysOfTheTraceInRfc8448) {
  KeyDerivation derivation(nullptr);
  TrafficKeys client;
  TrafficKeys server;
  derivation.derive_keys(RecordSuite::kAes128GcmSha256, TrafficSecret(kClientSecret), client);
  derivation.derive_keys(RecordSuite::kAes128GcmSha256, TrafficSecret(kServerSecret), server);
  EXPECT_EQ(key_of(client, 16), hex("17422dda596ed5d9acd890e3c63f5051"));
  EXPECT_EQ(iv_of(client), hex("5b78923dee08579033e523d9"));
  EXPECT_EQ(key_of(server, 16), hex("9f02283b6c9c07efc26bb9f2ac92e356"));
  EXPECT_EQ(iv_of(server), hex("cf782b88dd83549aadf1e984"));
}

TEST(KeyDerivation, DerivesTheSameAfterItForgotItsSecrets) {
  KeyDerivation derivation(nullptr);
  TrafficKeys before;
  TrafficKeys after;
  for (const RecordSuite suite : kAllSuites) {
    derivation.derive_keys(suite, test_direction(suite).secret, before);
    derivation.forget_secrets();
    derivation.forget_secrets();
    derivation.derive_keys(suite, test_direction(suite).secret, after);
    EXPECT_EQ(iv_of(before), iv_of(after));
  }
}

TEST(KeyDerivation, AgreesWithOpensslsOwnHkdfForEverySuite) {
  KeyDerivation derivation(nullptr);
  const KdfPtr kdf(EVP_KDF_fetch(nullptr, "TLS13-KDF", nullptr));
  for (const RecordSuite suite : kAllSuites) {
    const KdfCtxPtr context(EVP_KDF_CTX_new(kdf.get()));
    ByteVector secret = copy(test_direction(suite).secret.bytes());
    std::string digest = row(suite).digest;
    std::string prefix = "tls13 ";
    std::string label = "traffic upd";
    int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_int("mode", &mode),
        OSSL_PARAM_construct_utf8_string("digest", digest.data(), 0),
        OSSL_PARAM_construct_octet_string("key", secret.data(), secret.size()),
        OSSL_PARAM_construct_octet_string("prefix", prefix.data(), prefix.size()),
        OSSL_PARAM_construct_octet_string("label", label.data(), label.size()),
        OSSL_PARAM_construct_end(),
    };
    ByteVector expected(secret.size());
    ASSERT_EQ(EVP_KDF_derive(context.get(), reinterpret_cast<unsigned char*>(expected.data()),
                             expected.size(), params),
              1);
    EXPECT_EQ(copy(derivation.next_secret(suite, TrafficSecret(secret)).bytes()), expected);
  }
}

TEST(TrafficSecret, LeavesNothingBehindWhenMovedFrom) {
  TrafficSecret from(kClientSecret);
  const auto where = from.bytes();
  const TrafficSecret to(std::move(from));
  EXPECT_EQ(copy(to.bytes()), kClientSecret);
  EXPECT_TRUE(std::all_of(where.begin(), where.end(), [](std::byte byte) { return byte == std::byte{0}; }));
}

TEST(TrafficSecret, IsWipedWhereItStoodWhenItGoes) {
  alignas(TrafficSecret) std::array<std::byte, sizeof(TrafficSecret)> place{};
  auto* secret = new (place.data()) TrafficSecret(kClientSecret);
  EXPECT_NE(std::search(place.begin(), place.end(), kClientSecret.begin(), kClientSecret.end()), place.end());
  secret->~TrafficSecret();
  EXPECT_EQ(std::search(place.begin(), place.end(), kClientSecret.begin(), kClientSecret.begin() + 8),
            place.end());
}

TEST(RecordSuite, IsFoundByItsNumberUnlessItStaysWithOpenssl) {
  EXPECT_EQ(find_record_suite(0x1301), RecordSuite::kAes128GcmSha256);
  EXPECT_EQ(find_record_suite(0x1302), RecordSuite::kAes256GcmSha384);
  EXPECT_EQ(find_record_suite(0x1303), RecordSuite::kChacha20Poly1305Sha256);
  EXPECT_EQ(find_record_suite(0x1304), std::nullopt);  // AES-128-CCM
  EXPECT_EQ(find_record_suite(0xc02f), std::nullopt);  // TLS 1.2
}

TEST(SecretCapture, TakesTheTwoTrafficSecretsAndNothingElse) {
  SecretCapture capture;
  capture.on_keylog_line(("SERVER_HANDSHAKE_TRAFFIC_SECRET " + kRandom + " " + std::string(64, 'a')).c_str());
  capture.on_keylog_line(("EXPORTER_SECRET " + kRandom + " " + std::string(64, 'a')).c_str());
  EXPECT_FALSE(capture.complete());
  capture.on_keylog_line(("CLIENT_TRAFFIC_SECRET_0 " + kRandom + " " + to_hex(kClientSecret)).c_str());
  EXPECT_FALSE(capture.complete());
  capture.on_keylog_line(("SERVER_TRAFFIC_SECRET_0 " + kRandom + " " + to_hex(kServerSecret)).c_str());
  EXPECT_TRUE(capture.complete());
  EXPECT_EQ(copy(capture.client.bytes()), kClientSecret);
  EXPECT_EQ(copy(capture.server.bytes()), kServerSecret);
}

TEST(SecretCapture, TakesASecretOfSha384) {
  SecretCapture capture;
  capture.on_keylog_line(("CLIENT_TRAFFIC_SECRET_0 " + kRandom + " " + std::string(96, 'F')).c_str());
  EXPECT_EQ(copy(capture.client.bytes()), ByteVector(48, std::byte{0xff}));
}

TEST(SecretCapture, PassesOverEveryPrefixOfALine) {
  const std::string line = "CLIENT_TRAFFIC_SECRET_0 " + kRandom + " " + to_hex(kClientSecret);
  for (std::size_t size = 0; size < line.size(); ++size) {
    SecretCapture capture;
    capture.on_keylog_line(line.substr(0, size).c_str());
    EXPECT_TRUE(capture.client.empty()) << size;
  }
}

TEST(SecretCapture, PassesOverALineWithADigitThatIsNone) {
  const std::string line = "CLIENT_TRAFFIC_SECRET_0 " + kRandom + " " + to_hex(kClientSecret);
  for (std::size_t i = line.size() - 64; i < line.size(); ++i) {
    std::string damaged = line;
    damaged[i] = 'x';
    SecretCapture capture;
    capture.on_keylog_line(damaged.c_str());
    EXPECT_TRUE(capture.client.empty()) << i;
  }
}

}  // namespace
}  // namespace headgate
