#include "connection/client_offer.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "tls/handshake/synthetic_hello.h"
#include "unit/connection/hello_of.h"

namespace headgate {
namespace {

using enum ClientOffer::List;

std::vector<std::uint16_t> values(const Uint16List& list) {
  return {list.begin(), list.end()};
}

TEST(ClientOffer, KeepsWhatABrowserOffersWholeWithItsFingerprint) {
  const auto bytes = synthetic_client_hello("www.example.com", {"h2", "http/1.1"});
  ASSERT_TRUE(bytes.has_value());
  const auto hello = parse_client_hello(*bytes);
  ASSERT_TRUE(hello.has_value());
  const ClientOffer offer(*hello);
  const ClientHello kept = offer.kept();
  EXPECT_EQ(values(kept.supported_versions), values(hello->supported_versions));
  EXPECT_EQ(values(kept.groups), values(hello->groups));
  EXPECT_EQ(values(kept.cipher_suites), values(hello->cipher_suites));
  EXPECT_EQ(values(kept.signature_algorithms), values(hello->signature_algorithms));
  EXPECT_EQ(kept.extensions, hello->extensions);
  EXPECT_EQ(kept.alpn, hello->alpn);
  EXPECT_EQ(offer.ja4(), hello->ja4());
  for (const auto list : {kVersions, kGroups, kCiphers, kSignatureAlgorithms, kExtensions, kAlpn})
    EXPECT_EQ(offer.left_out(list), 0U);
}

TEST(ClientOffer, OutlivesTheBytesOfTheHello) {
  auto bytes = *synthetic_client_hello("a.test", {"h2"});
  const auto hello = parse_client_hello(bytes);
  const ClientOffer offer(*hello);
  const std::string ja4 = hello->ja4();
  std::ranges::fill(bytes, std::byte{0xff});
  const ClientOffer copy = offer;
  EXPECT_EQ(copy.ja4(), ja4);
  EXPECT_EQ(copy.kept().alpn.front(), "h2");
}

TEST(ClientOffer, KeepsABoundedPartOfEachListAndCountsTheRest) {
  const auto bytes = test::largest_hello().records();
  const auto hello = parse_client_hello(bytes);
  ASSERT_TRUE(hello.has_value()) << hello.error().what;
  const ClientOffer offer(*hello);
  EXPECT_EQ(values(offer.kept().cipher_suites), test::numbers(ClientOffer::kMaxNumbers));
  EXPECT_EQ(values(offer.kept().groups), test::numbers(ClientOffer::kMaxNumbers));
  EXPECT_EQ(offer.left_out(kCiphers), 10'000 - ClientOffer::kMaxNumbers);
  EXPECT_EQ(offer.left_out(kSignatureAlgorithms), 10'000 - ClientOffer::kMaxNumbers);
  EXPECT_EQ(offer.left_out(kExtensions), 1'004 - ClientOffer::kMaxNumbers);
  EXPECT_EQ(offer.left_out(kVersions), 0U);
  EXPECT_EQ(offer.kept().alpn.size() + offer.left_out(kAlpn), 100U);
  EXPECT_GT(offer.left_out(kAlpn), 0U);
  EXPECT_LE(offer.heap_bytes(), 5 * 2 * ClientOffer::kMaxNumbers + ClientOffer::kMaxAlpnBytes);
}

TEST(ClientOffer, HasNoFingerprintWhereAListIsCutOrNothingIsKnown) {
  const auto bytes = test::largest_hello().records();
  EXPECT_EQ(ClientOffer(*parse_client_hello(bytes)).ja4(), "");
  EXPECT_EQ(ClientOffer().ja4(), "");
  EXPECT_TRUE(ClientOffer().kept().cipher_suites.empty());
}

TEST(ClientOffer, KeepsAListWholeUpToItsBound) {
  test::HelloOf hello;
  hello.ciphers = test::numbers(ClientOffer::kMaxNumbers);
  const auto bytes = hello.records();
  const auto parsed = parse_client_hello(bytes);
  EXPECT_EQ(ClientOffer(*parsed).left_out(kCiphers), 0U);
  EXPECT_EQ(ClientOffer(*parsed).ja4(), parsed->ja4());
}

}  // namespace
}  // namespace headgate
