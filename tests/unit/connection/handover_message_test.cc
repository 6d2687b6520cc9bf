#include "connection/handover_message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/tagged_fields.h"

namespace headgate {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

constexpr std::size_t kSmallMessageBytes = std::size_t{128} * 1024;

std::vector<std::byte> some_bytes(std::size_t size, unsigned seed) {
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(seed + i);
  return bytes;
}

DirectionState direction(RecordSuite suite, unsigned seed) {
  return {suite, TrafficSecret(some_bytes(size_bytes(row(suite).hash), seed)), 0x0102030405060708U + seed};
}

PeerIdentity some_peer() {
  PeerIdentity peer;
  peer.spiffe_id = "spiffe://prod/ns/web/api";
  peer.uris = {"spiffe://prod/ns/web/api"};
  peer.dns = {"api.example.com", "", "b.example.com"};
  peer.common_name = "api";
  peer.organizational_units = {"web", "edge"};
  peer.fingerprint = "ab12";
  peer.public_key.fill(std::byte{5});
  peer.serial = "1F";
  peer.issuer = "CN=Clients CA";
  peer.not_after = WallTime(milliseconds(1'800'000'000'123));
  peer.chain.resize(2);
  peer.chain[1].fill(std::byte{7});
  peer.trust.resize(2);
  peer.trust[0].fill(std::byte{9});
  peer.issued_by.fill(std::byte{8});
  return peer;
}

HandoverConnection some_connection() {
  HandoverConnection connection;
  connection.listener = "web";
  connection.client_address = "[2001:db8::1]:4711";
  connection.server_name = "www.example.com";
  connection.alpn = "h2";
  connection.tls_version = "TLSv1.3";
  connection.group = "x25519";
  connection.cipher = "TLS_AES_256_GCM_SHA384";
  connection.key_type = "EC-P-256";
  connection.resumed = true;
  connection.peer = std::make_unique<PeerIdentity>(some_peer());
  connection.backend = "app";
  connection.server = "127.0.0.1:8080";
  connection.proxy_id = std::string("\0\xff", 2);
  connection.aws_vpc_endpoint = "vpce-1";
  connection.azure_private_link = "7";
  connection.gcp_psc_connection = "8";
  connection.ja4 = "t13d1516h2_8daaf6152771_e5627efa2ab1";
  connection.bytes_from_client = 1ULL << 40;
  connection.bytes_to_client = 77;
  connection.age = milliseconds(123'456);
  connection.quiet = milliseconds(9);
  connection.client_side.layer = HandoverLayer::kTls13;
  connection.client_side.sending = direction(RecordSuite::kAes256GcmSha384, 1);
  connection.client_side.receiving = direction(RecordSuite::kChacha20Poly1305Sha256, 2);
  connection.client_side.unsent = some_bytes(300, 3);
  connection.backend_side.received = some_bytes(20, 4);
  connection.backend_side.ended_reading = true;
  return connection;
}

HandoverConnection round_trip(HandoverConnection connection) {
  auto decoded = decode_handover(encode(std::move(connection)));
  EXPECT_TRUE(decoded) << decoded.error().what;
  return std::get<HandoverConnection>(std::move(*decoded));
}

void expect_equal(const DirectionState& a, const DirectionState& b) {
  EXPECT_EQ(a.suite, b.suite);
  EXPECT_TRUE(std::ranges::equal(a.secret.bytes(), b.secret.bytes()));
  EXPECT_EQ(a.sequence_number, b.sequence_number);
}

void expect_equal(const HandoverSide& a, const HandoverSide& b) {
  EXPECT_EQ(a.layer, b.layer);
  expect_equal(a.sending, b.sending);
  expect_equal(a.receiving, b.receiving);
  EXPECT_EQ(a.received, b.received);
  EXPECT_EQ(a.unsent, b.unsent);
  EXPECT_EQ(a.ended_reading, b.ended_reading);
  EXPECT_EQ(a.ended_writing, b.ended_writing);
}

TEST(HandoverMessage, AConnectionArrivesAsItWasSent) {
  const HandoverConnection sent = some_connection(), got = round_trip(some_connection());
  EXPECT_EQ(got.listener, sent.listener);
  EXPECT_EQ(got.client_address, sent.client_address);
  EXPECT_EQ(got.server_name, sent.server_name);
  EXPECT_EQ(got.alpn, sent.alpn);
  EXPECT_EQ(got.tls_version, sent.tls_version);
  EXPECT_EQ(got.group, sent.group);
  EXPECT_EQ(got.cipher, sent.cipher);
  EXPECT_EQ(got.key_type, sent.key_type);
  EXPECT_EQ(got.resumed, sent.resumed);
  EXPECT_EQ(got.probe, sent.probe);
  EXPECT_EQ(*got.peer, *sent.peer);
  EXPECT_EQ(got.backend, sent.backend);
  EXPECT_EQ(got.server, sent.server);
  EXPECT_EQ(got.proxy_id, sent.proxy_id);
  EXPECT_EQ(got.aws_vpc_endpoint, sent.aws_vpc_endpoint);
  EXPECT_EQ(got.azure_private_link, sent.azure_private_link);
  EXPECT_EQ(got.gcp_psc_connection, sent.gcp_psc_connection);
  EXPECT_EQ(got.ja4, sent.ja4);
  EXPECT_EQ(got.bytes_from_client, sent.bytes_from_client);
  EXPECT_EQ(got.bytes_to_client, sent.bytes_to_client);
  EXPECT_EQ(got.age, sent.age);
  EXPECT_EQ(got.quiet, sent.quiet);
  expect_equal(got.client_side, sent.client_side);
  expect_equal(got.backend_side, sent.backend_side);
}

TEST(HandoverMessage, AConnectionWithoutTlsOrIdentityArrivesAsItWasSent) {
  HandoverConnection plain;
  plain.listener = "tcp";
  const HandoverConnection got = round_trip(std::move(plain));
  EXPECT_EQ(got.listener, "tcp");
  EXPECT_EQ(got.peer, nullptr);
  EXPECT_EQ(got.client_side.layer, HandoverLayer::kPlain);
}

TEST(HandoverMessage, ListenersCountersAndNoticesArriveAsTheyWereSent) {
  const auto listener = decode_handover(encode(HandoverListener{"web", "[::]:443"}));
  EXPECT_EQ(std::get<HandoverListener>(*listener).address, "[::]:443");
  const auto counters = decode_handover(encode(HandoverCounters{{"a_total 1", "b_total{x=\"y\"} 2"}}));
  EXPECT_EQ(std::get<HandoverCounters>(*counters).lines.size(), 2U);
  const auto notice = decode_handover(encode(HandoverNotice{HandoverWord::kFailed, "no certificate"}));
  EXPECT_EQ(std::get<HandoverNotice>(*notice).word, HandoverWord::kFailed);
  EXPECT_EQ(std::get<HandoverNotice>(*notice).detail, "no certificate");
}

TEST(HandoverMessage, EveryTruncationIsRefused) {
  const SecretBytes whole = encode(some_connection());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(decode_handover(std::span(whole).first(size))) << size;
  }
}

TEST(HandoverMessage, NoDamagedByteIsMoreThanAnotherMessageOrARefusal) {
  SecretBytes bytes = encode(some_connection());
  for (std::byte& byte : bytes) {
    const std::byte before = byte;
    for (const unsigned damage : {0x01U, 0x80U, 0xffU}) {
      byte = before ^ static_cast<std::byte>(damage);
      const auto decoded = decode_handover(bytes);
      EXPECT_TRUE(decoded || !decoded.error().what.empty());
    }
    byte = before;
  }
}

TEST(HandoverMessage, AnotherVersionIsRefusedByNumber) {
  for (const int other : {kHandoverVersion - 1, kHandoverVersion + 1}) {
    SecretBytes bytes = encode(HandoverNotice{});
    bytes[4] = static_cast<std::byte>(other);
    const auto decoded = decode_handover(bytes);
    ASSERT_FALSE(decoded);
    EXPECT_EQ(decoded.error().kind, ErrorKind::kRefused);
    EXPECT_THAT(decoded.error().what, HasSubstr("version " + std::to_string(other)));
  }
}

TEST(HandoverMessage, AnUnknownKindIsRefused) {
  SecretBytes bytes = encode(HandoverNotice{});
  bytes[6] = std::byte{200};
  EXPECT_EQ(decode_handover(bytes).error().kind, ErrorKind::kRefused);
}

/// Returns the fields of `message`, and behind them one that this version does not know.
SecretBytes with_unknown_field(const HandoverMessage& message, Unknown unknown) {
  SecretBytes bytes = encode(message);
  FieldWriter writer;
  writer.field(999, std::string("from the future"), unknown);
  const SecretBytes more = writer.take();
  bytes.insert(bytes.end(), more.begin(), more.end());
  return bytes;
}

TEST(HandoverMessage, AnUnknownFieldIsSkippedIfItMayBe) {
  const auto decoded = decode_handover(with_unknown_field(HandoverListener{"web", "x"}, Unknown::kSkip));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(std::get<HandoverListener>(*decoded).listener, "web");
}

TEST(HandoverMessage, AnUnknownFieldThatMattersIsRefused) {
  const auto decoded = decode_handover(with_unknown_field(HandoverListener{"web", "x"}, Unknown::kRefuse));
  ASSERT_FALSE(decoded);
  EXPECT_THAT(decoded.error().what, HasSubstr("field 999 is unknown"));
}

TEST(HandoverMessage, AFieldThatIsThereTwiceIsRefused) {
  SecretBytes bytes = encode(HandoverListener{"web", "x"});
  FieldWriter writer;
  writer.field(1, std::string("other"));
  const SecretBytes more = writer.take();
  bytes.insert(bytes.end(), more.begin(), more.end());
  EXPECT_THAT(decode_handover(bytes).error().what, HasSubstr("field 1 is there twice"));
}

TEST(HandoverMessage, ASecretOfTheWrongLengthIsRefused) {
  HandoverConnection connection = some_connection();
  connection.client_side.sending.secret = TrafficSecret(some_bytes(32, 1));  // the suite's hash has 48
  const auto decoded = decode_handover(encode(std::move(connection)));
  ASSERT_FALSE(decoded);
  EXPECT_THAT(decoded.error().what, HasSubstr("not a secret of its cipher suite"));
}

TEST(HandoverMessage, SharesOutAnyNumberOfCountersInOrder) {
  std::vector<std::string> lines;
  for (int i = 0; i < 100'000; ++i) lines.push_back("bytes.from_client 1 listener-" + std::to_string(i));
  std::vector<std::string> together;
  for (const auto& piece : counters_in_pieces(lines)) {
    EXPECT_FALSE(piece.lines.empty());
    const auto decoded = decode_handover(encode(piece));
    ASSERT_TRUE(decoded);
    EXPECT_LE(encode(piece).size(), kSmallMessageBytes);
    const auto& read = std::get<HandoverCounters>(*decoded).lines;
    together.insert(together.end(), read.begin(), read.end());
  }
  EXPECT_EQ(together, lines);
  EXPECT_TRUE(counters_in_pieces({}).empty());
}

TEST(HandoverMessage, SendsALineLongerThanAPieceByItself) {
  const std::string longer(300'000, 'x');
  const auto pieces = counters_in_pieces({"a 1", longer, "b 2"});
  ASSERT_EQ(pieces.size(), 3U);
  EXPECT_EQ(pieces[1].lines, std::vector{longer});
}

TEST(HandoverMessage, CutsWhatANoticeSays) {
  const std::string faults(5'000'000, 'f');
  EXPECT_LE(encode(notice_of(HandoverWord::kFailed, faults)).size(), kSmallMessageBytes);
  EXPECT_LE(encode(notice_of(HandoverWord::kRefused, faults)).size(), 2048U);
  EXPECT_EQ(notice_of(HandoverWord::kFailed, "short").detail, "short");
}

}  // namespace
}  // namespace headgate
