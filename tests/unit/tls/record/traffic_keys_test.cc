#include "tls/record/traffic_keys.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "unit/tls/record/record_bytes.h"

namespace headgate {
namespace {

// RFC 8448, section 3.
const auto kClientSecret = hex("9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5");
const auto kServerSecret = hex("a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643");

ByteVector key_of(const TrafficKeys& keys, std::size_t size) {
  return {keys.key.begin(), keys.key.begin() + size};
}
ByteVector iv_of(const TrafficKeys& keys) {
  return {keys.iv.begin(), keys.iv.end()};
}
ByteVector copy(std::span<const std::byte> bytes) {
  return {bytes.begin(), bytes.end()};
}

TEST(TrafficKeys, AreThoseOfTheTraceInRfc8448) {
  TrafficKeys client;
  TrafficKeys server;
  derive_keys(RecordSuite::kAes128GcmSha256, TrafficSecret(kClientSecret), client);
  derive_keys(RecordSuite::kAes128GcmSha256, TrafficSecret(kServerSecret), server);
  EXPECT_EQ(key_of(client, 16), hex("17422dda596ed5d9acd890e3c63f5051"));
  EXPECT_EQ(iv_of(client), hex("5b78923dee08579033e523d9"));
  EXPECT_EQ(key_of(server, 16), hex("9f02283b6c9c07efc26bb9f2ac92e356"));
  EXPECT_EQ(iv_of(server), hex("cf782b88dd83549aadf1e984"));
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

}  // namespace
}  // namespace headgate
