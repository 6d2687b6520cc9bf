#include "net/proxy_protocol.h"

#include <cstring>
#include <string>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace headgate {
namespace {

using namespace std::literals;

std::span<const std::byte> bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

std::string text(const std::vector<std::byte>& header) {
  return {reinterpret_cast<const char*>(header.data()), header.size()};
}

Address parsed(std::string_view written) {
  return Address::parse(written).value();
}

ProxyFacts info(std::string_view source, std::string_view destination) {
  ProxyFacts result;
  result.source = parsed(source);
  result.destination = parsed(destination);
  return result;
}

ProxyFacts full_facts() {
  ProxyFacts result = info("192.0.2.1:40000", "198.51.100.2:443");
  result.alpn = "h2";
  result.authority = "api.example.com";
  result.unique_id = "0123456789abcdef-281474976710657";
  result.other_tlvs = "\xE0\0\x03one\x30\0\0\xE0\0\x03two"s;
  result.tls = ProxyTls{.certificate_this_connection = true,
                        .certificate_this_session = true,
                        .verified = true,
                        .version = "TLSv1.3",
                        .common_name = "client",
                        .cipher = "TLS_AES_128_GCM_SHA256",
                        .signature_algorithm = "ecdsa-with-SHA256",
                        .key_algorithm = "EC256",
                        .group = "x25519",
                        .signature_scheme = "ecdsa_secp256r1_sha256",
                        .certificate_der = std::string(700, '\x5A')};
  return result;
}

ErrorKind error_of(std::string_view input) {
  const auto header = parse_proxy_header(bytes(input));
  EXPECT_FALSE(header.has_value()) << testing::PrintToString(input);
  return header ? ErrorKind::kSystem : header.error().kind;
}

const std::string kSignature = "\r\n\r\n\0\r\nQUIT\n"s;

/// A version 2 header of `command_and_family` and a body, with the right length.
std::string v2(std::string_view command_and_family, std::string_view body) {
  return kSignature + std::string(command_and_family) + static_cast<char>(body.size() >> 8) +
         static_cast<char>(body.size() & 0xFF) + std::string(body);
}

const std::string kIpv4Body = "\xC0\x00\x02\x01\xC6\x33\x64\x02\x9C\x40\x01\xBB"s;

TEST(ProxyProtocolV1, ReadsAddressesAndLeavesWhatFollows) {
  const auto header =
      parse_proxy_header(bytes("PROXY TCP4 192.0.2.1 198.51.100.2 40000 443\r\n\x16\x03\x01"));
  ASSERT_TRUE(header.has_value());
  EXPECT_EQ(header->size_bytes, 45U);
  EXPECT_EQ(header->version, ProxyVersion::kV1);
  EXPECT_EQ(header->command, ProxyCommand::kProxy);
  EXPECT_EQ(header->info, info("192.0.2.1:40000", "198.51.100.2:443"));
}

TEST(ProxyProtocolV1, ReadsIpv6) {
  const auto header = parse_proxy_header(bytes("PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n"));
  ASSERT_TRUE(header.has_value());
  EXPECT_EQ(header->info, info("[2001:db8::1]:1", "[2001:db8::2]:65535"));
}

TEST(ProxyProtocolV1, IgnoresWhateverStandsBehindUnknown) {
  for (const auto line : {"PROXY UNKNOWN\r\n", "PROXY UNKNOWN ffff:: whatever 1 2\r\n"}) {
    const auto header = parse_proxy_header(bytes(line));
    ASSERT_TRUE(header.has_value()) << line;
    EXPECT_EQ(header->info, ProxyFacts{});
    EXPECT_EQ(header->size_bytes, std::strlen(line));
  }
}

TEST(ProxyProtocolV1, EveryPrefixIsIncomplete) {
  const std::string line = "PROXY TCP4 192.0.2.1 198.51.100.2 40000 443\r\n";
  for (std::size_t n = 0; n < line.size(); ++n)
    EXPECT_EQ(error_of(line.substr(0, n)), ErrorKind::kIncomplete) << n;
}

TEST(ProxyProtocolV1, RefusesWhatIsNotALineOfTheFormat) {
  for (const auto line :
       {"PROXY TCP4 192.0.2.1 198.51.100.2 40000\r\n", "PROXY TCP4 192.0.2.1 198.51.100.2 40000 443 \r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 40000 443 9\r\n", "PROXY TCP4  192.0.2.1 198.51.100.2 1 2\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 65536 443\r\n", "PROXY TCP4 192.0.2.1 198.51.100.2 -1 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 01 443\r\n", "PROXY TCP4 192.0.2.256 198.51.100.2 1 443\r\n",
        "PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n", "PROXY TCP6 192.0.2.1 198.51.100.2 1 2\r\n",
        "PROXY UDP4 192.0.2.1 198.51.100.2 1 2\r\n", "PROXY \r\n", "PROXY  UNKNOWN\r\n", "proxy TCP4",
        "GET / HTTP/1.1\r\n", "\x16\x03\x01", "\r\n\r\n\r\n"}) {
    EXPECT_EQ(error_of(line), ErrorKind::kMalformed) << line;
  }
}

TEST(ProxyProtocolV1, GivesUpOnALineThatNeverEnds) {
  const std::string line = "PROXY UNKNOWN " + std::string(200, 'x');
  EXPECT_EQ(error_of(line.substr(0, 106)), ErrorKind::kIncomplete);
  EXPECT_EQ(error_of(line.substr(0, 107)), ErrorKind::kMalformed);
  EXPECT_EQ(error_of(line + "\r\n"), ErrorKind::kMalformed);
}

TEST(ProxyProtocolV1, WritesTheLineThatTheSpecificationShows) {
  EXPECT_EQ(text(build_proxy_header(ProxyVersion::kV1, info("192.0.2.1:40000", "198.51.100.2:443"))),
            "PROXY TCP4 192.0.2.1 198.51.100.2 40000 443\r\n");
  EXPECT_EQ(text(build_proxy_header(ProxyVersion::kV1, info("[2001:db8::1]:1", "[2001:db8::2]:2"))),
            "PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n");
}

TEST(ProxyProtocolV1, SaysUnknownWhereItHasNoIpAddresses) {
  EXPECT_EQ(text(build_proxy_header(ProxyVersion::kV1, {})), "PROXY UNKNOWN\r\n");
  EXPECT_EQ(text(build_proxy_header(ProxyVersion::kV1, info("unix:/a", "unix:/b"))), "PROXY UNKNOWN\r\n");
}

TEST(ProxyProtocolV1, WritesAddressesOfADualStackSocketAsIpv4) {
  EXPECT_EQ(
      text(build_proxy_header(ProxyVersion::kV1, info("[::ffff:192.0.2.1]:1", "[::ffff:198.51.100.2]:2"))),
      "PROXY TCP4 192.0.2.1 198.51.100.2 1 2\r\n");
}

TEST(ProxyProtocolV1, WritesTwoFamiliesAsIpv6) {
  const auto line = build_proxy_header(ProxyVersion::kV1, info("192.0.2.1:1", "[2001:db8::2]:2"));
  EXPECT_EQ(text(line), "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 1 2\r\n");
  EXPECT_TRUE(parse_proxy_header(line).has_value());
}

TEST(ProxyProtocolV2, ReadsAddresses) {
  const auto header = parse_proxy_header(bytes(v2("\x21\x11", kIpv4Body) + "\x16\x03\x01"));
  ASSERT_TRUE(header.has_value());
  EXPECT_EQ(header->size_bytes, 28U);
  EXPECT_EQ(header->version, ProxyVersion::kV2);
  EXPECT_EQ(header->info, info("192.0.2.1:40000", "198.51.100.2:443"));
}

TEST(ProxyProtocolV2, LocalCarriesNoFactsWhateverItsBody) {
  const auto header = parse_proxy_header(bytes(v2("\x20\x00"s, "anything")));
  ASSERT_TRUE(header.has_value());
  EXPECT_EQ(header->command, ProxyCommand::kLocal);
  EXPECT_EQ(header->size_bytes, 24U);
  EXPECT_EQ(header->info, ProxyFacts{});
}

TEST(ProxyProtocolV2, LeavesTheBodyOfAnUnspecifiedFamilyUnread) {
  const auto header = parse_proxy_header(bytes(v2("\x21\x00"s, "\x01\xFF\xFF")));
  ASSERT_TRUE(header.has_value());
  EXPECT_EQ(header->command, ProxyCommand::kProxy);
  EXPECT_EQ(header->info, ProxyFacts{});
}

TEST(ProxyProtocolV2, ReadsBackWhatItWrites) {
  for (const ProxyFacts& given : {full_facts(), info("[2001:db8::1]:1", "[2001:db8::2]:2"),
                                  info("unix:/run/a.sock", "unix:@abstract")}) {
    const auto written = build_proxy_header(ProxyVersion::kV2, given);
    const auto header = parse_proxy_header(written);
    ASSERT_TRUE(header.has_value()) << header.error().what;
    EXPECT_EQ(header->size_bytes, written.size());
    EXPECT_EQ(header->info, given);
  }
}

TEST(ProxyProtocolV2, WritesAUnixSocketWithoutAPathAsZeros) {
  ProxyFacts given;
  sockaddr_storage nameless{};
  nameless.ss_family = AF_UNIX;
  given.source = Address::from_socket(nameless, sizeof(sa_family_t));
  given.destination = Address::parse("unix:/run/web.sock").value();
  const auto written = build_proxy_header(ProxyVersion::kV2, given);
  EXPECT_EQ(written[13], std::byte{0x31});
  EXPECT_EQ(text(written).substr(16, 108), std::string(108, '\0'));
  EXPECT_EQ(text(written).substr(124, 14), "/run/web.sock\0"s);
}

TEST(ProxyProtocolV2, WritesNoUniqueIdThatIsTooLong) {
  ProxyFacts given = info("192.0.2.1:1", "192.0.2.2:2");
  given.unique_id.assign(129, 'u');
  const auto header = parse_proxy_header(build_proxy_header(ProxyVersion::kV2, given));
  ASSERT_TRUE(header.has_value());
  EXPECT_EQ(header->info.unique_id, "");
}

TEST(ProxyProtocolV2, WritesUnspecifiedWhereItHasNoAddresses) {
  const auto written = build_proxy_header(ProxyVersion::kV2, {});
  EXPECT_EQ(written[12], std::byte{0x21});
  EXPECT_EQ(written[13], std::byte{0x00});
  EXPECT_TRUE(parse_proxy_header(written).has_value());
}

TEST(ProxyProtocolV2, ChecksumIsCrc32c) {
  // Computed by hand with the polynomial of RFC 3720, appendix B.4.
  const auto written = build_proxy_header(ProxyVersion::kV2, {});
  std::string zeroed = text(written);
  zeroed.replace(zeroed.size() - 4, 4, 4, '\0');
  std::uint32_t crc = 0xFFFFFFFF;
  for (const char c : zeroed) {
    crc ^= static_cast<std::uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) != 0 ? crc >> 1 ^ 0x82F63B78 : crc >> 1;
  }
  crc = ~crc;
  const std::string stored = text(written).substr(written.size() - 4);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(static_cast<std::uint8_t>(stored[i]), static_cast<std::uint8_t>(crc >> (24 - 8 * i)));
  }
}

TEST(ProxyProtocolV2, EveryPrefixIsIncomplete) {
  const auto written = build_proxy_header(ProxyVersion::kV2, full_facts());
  for (std::size_t n = 0; n < written.size(); ++n) {
    const auto header = parse_proxy_header(std::span(written).first(n));
    ASSERT_FALSE(header.has_value()) << n;
    EXPECT_EQ(header.error().kind, ErrorKind::kIncomplete) << n;
  }
}

TEST(ProxyProtocolV2, ADamagedByteIsNeverTakenForAnotherHeader) {
  const auto written = build_proxy_header(ProxyVersion::kV2, full_facts());
  for (std::size_t i = 0; i < written.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      auto damaged = written;
      damaged[i] ^= static_cast<std::byte>(1 << bit);
      auto header = parse_proxy_header(damaged);
      // LOCAL and AF_UNSPEC have nothing to check, and say nothing about the client. A checksum under another
      // type is not seen as one: it is one more of the other TLVs, and leaves the rest as it was.
      if (header && i == written.size() - 7) header->info.other_tlvs.resize(full_facts().other_tlvs.size());
      if (header && header->info != ProxyFacts{}) {
        EXPECT_EQ(header->info, full_facts()) << "byte " << i << " bit " << bit;
      }
    }
  }
}

TEST(ProxyProtocolV2, RefusesUnknownVersionsCommandsAndFamilies) {
  EXPECT_EQ(error_of(kSignature + "\x11"), ErrorKind::kMalformed);
  EXPECT_EQ(error_of(v2("\x22\x11", kIpv4Body)), ErrorKind::kMalformed);
  EXPECT_EQ(error_of(v2("\x21\x13", kIpv4Body)), ErrorKind::kMalformed);
  EXPECT_EQ(error_of(v2("\x21\x41", kIpv4Body)), ErrorKind::kMalformed);
}

TEST(ProxyProtocolV2, RefusesABodyShorterThanItsAddresses) {
  EXPECT_EQ(error_of(v2("\x21\x11", kIpv4Body.substr(1))), ErrorKind::kMalformed);
  EXPECT_EQ(error_of(v2("\x21\x21", kIpv4Body)), ErrorKind::kMalformed);
}

TEST(ProxyProtocolV2, RefusesBrokenTlvs) {
  for (const std::string& tlvs :
       {"\x01"s, "\x01\x00"s, "\x01\x00\x03h2"s, "\x03\x00\x02\x00\x00"s, "\x03\x00\x04\x00\x00\x00\x00"s,
        "\x20\x00\x04\x01\x00\x00\x00"s, "\x20\x00\x07\x01\x00\x00\x00\x00\x21\x00"s}) {
    EXPECT_EQ(error_of(v2("\x21\x11", kIpv4Body + tlvs)), ErrorKind::kMalformed)
        << testing::PrintToString(tlvs);
  }
}

TEST(ProxyProtocolV2, PassesOverUnknownTlvs) {
  const auto header = parse_proxy_header(bytes(v2("\x21\x11", kIpv4Body + "\xEA\x00\x02zz\x01\x00\x02h2"s)));
  ASSERT_TRUE(header.has_value());
  EXPECT_EQ(header->info.alpn, "h2");
}

TEST(ProxyProtocolV2, AClientWithoutTlsHasNoTlsFacts) {
  const auto header =
      parse_proxy_header(bytes(v2("\x21\x11", kIpv4Body + "\x20\x00\x05\x00\x00\x00\x00\x01"s)));
  ASSERT_TRUE(header.has_value());
  EXPECT_FALSE(header->info.tls.has_value());
}

TEST(ProxyProtocolV2, RefusesALengthBeyondTheBoundBeforeItArrives) {
  EXPECT_EQ(error_of(kSignature + "\x21\x11\xFF\xFF"), ErrorKind::kMalformed);
}

TEST(ProxyProtocolV2, LeavesOutACertificateThatWouldNotFit) {
  ProxyFacts given = full_facts();
  given.tls->certificate_der.assign(20'000, 'c');
  const auto written = build_proxy_header(ProxyVersion::kV2, given);
  EXPECT_LE(written.size(), kMaxProxyHeaderBytes);
  const auto header = parse_proxy_header(written);
  ASSERT_TRUE(header.has_value());
  EXPECT_EQ(header->info.tls->certificate_der, "");
  EXPECT_EQ(header->info.tls->common_name, "client");
}

TEST(ProxyProtocolV2, SaysWhenACertificateWasNotVerified) {
  ProxyFacts given = full_facts();
  given.tls->verified = false;
  given.tls->certificate_this_connection = false;
  const auto header = parse_proxy_header(build_proxy_header(ProxyVersion::kV2, given));
  ASSERT_TRUE(header.has_value());
  EXPECT_EQ(header->info, given);
}

}  // namespace
}  // namespace headgate
