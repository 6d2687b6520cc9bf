#include "tls/handshake/client_hello.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tls/library/openssl_types.h"
#include "tls/octets.h"
#include "unit/tls/test_pki.h"

namespace headgate {
namespace {

using test::bytes_of;
using testing::ElementsAre;

/// A ClientHello message put together by hand, so that a test knows every byte of it.
class HelloBuilder {
 public:
  HelloBuilder& extension(std::uint16_t type, const std::string& content) {
    extensions_ += number16(type) + vector16(content);
    return *this;
  }
  HelloBuilder& suites(const std::string& wire) {
    suites_ = wire;
    return *this;
  }
  [[nodiscard]] std::string message() const {
    const std::string body = std::string("\x03\x03", 2) + std::string(32, 'r') + '\0' + vector16(suites_) +
                             std::string("\x01\x00", 2) + vector16(extensions_);
    return std::string(1, '\x01') + static_cast<char>(body.size() >> 16) +
           number16(static_cast<std::uint16_t>(body.size())) + body;
  }
  /// The message in records that each hold at most `size` bytes of it.
  [[nodiscard]] std::vector<std::byte> records(std::size_t size = 16384) const {
    std::string wire;
    const std::string all = message();
    for (std::size_t at = 0; at < all.size(); at += size)
      wire += "\x16\x03\x01" + vector16(all.substr(at, size));
    return bytes_of(wire);
  }

  static std::string number16(std::uint16_t number) {
    return {static_cast<char>(number >> 8), static_cast<char>(number & 0xff)};
  }
  static std::string vector16(const std::string& content) {
    return number16(static_cast<std::uint16_t>(content.size())) + content;
  }

 private:
  std::string suites_ = std::string("\x13\x01\xc0\x2b", 4);
  std::string extensions_;
};

/// A ClientHello with the bytes that it points into.
struct Kept {
  explicit Kept(const HelloBuilder& builder) : wire(builder.records()), parsed(parse_client_hello(wire)) {}
  [[nodiscard]] const ClientHello* operator->() const { return &*parsed; }
  std::vector<std::byte> wire;
  ClientHelloResult parsed;
};

std::string server_name(const std::string& name) {
  return HelloBuilder::vector16('\0' + HelloBuilder::vector16(name));
}

HelloBuilder typical() {
  HelloBuilder hello;
  hello.extension(0, server_name("WWW.Example.COM."))
      .extension(10, HelloBuilder::vector16(std::string("\x11\xec\x00\x1d", 4)))
      .extension(13, HelloBuilder::vector16(std::string("\x04\x03\x08\x04", 4)))
      .extension(16, HelloBuilder::vector16("\x02h2\x08http/1.1"))
      .extension(43, std::string("\x04\x03\x04\x03\x03", 5))
      .extension(51, HelloBuilder::vector16(std::string("\x00\x1d\x00\x02", 4) + "ab"));
  return hello;
}

TEST(ClientHello, SaysWhatTheClientAsksFor) {
  const auto wire = typical().records();
  const auto hello = parse_client_hello(wire);
  ASSERT_TRUE(hello) << hello.error().what;
  EXPECT_EQ(hello->server_name, "www.example.com");
  EXPECT_THAT(hello->alpn, ElementsAre("h2", "http/1.1"));
  EXPECT_THAT(std::vector(hello->groups.begin(), hello->groups.end()), ElementsAre(0x11ec, 0x001d));
  EXPECT_THAT(hello->key_share_groups, ElementsAre(0x001d));
  EXPECT_TRUE(hello->offers_version(0x0304));
  EXPECT_FALSE(hello->offers_version(0x0302));
  EXPECT_TRUE(hello->offers_alpn("h2"));
  EXPECT_TRUE(hello->ticket.empty());
  EXPECT_EQ(hello->wire_bytes, wire.size());
  EXPECT_EQ(hello->message_bytes, wire.size() - 5);
  EXPECT_TRUE(hello->reassembled.empty());
}

TEST(ClientHello, LeavesWhatFollowsItAlone) {
  auto wire = typical().records();
  const std::size_t size = wire.size();
  wire.resize(size + 100);
  const auto hello = parse_client_hello(wire);
  ASSERT_TRUE(hello);
  EXPECT_EQ(hello->wire_bytes, size);
}

TEST(ClientHello, IsIncompleteInEveryPrefix) {
  const auto wire = typical().records(100);
  for (std::size_t size = 0; size < wire.size(); ++size) {
    const auto hello = parse_client_hello(std::span(wire).first(size));
    ASSERT_FALSE(hello) << size;
    ASSERT_EQ(hello.error().kind, ErrorKind::kIncomplete) << size << ": " << hello.error().what;
  }
}

TEST(ClientHello, MayBeCutIntoRecordsAnywhere) {
  const std::string message = typical().message();
  for (std::size_t size = 1; size < message.size(); ++size) {
    const auto wire = typical().records(size);
    auto parsed = parse_client_hello(wire);
    ASSERT_TRUE(parsed) << size << ": " << parsed.error().what;
    const ClientHello hello = std::move(*parsed);  // the views follow the bytes that it keeps
    ASSERT_EQ(hello.server_name, "www.example.com");
    ASSERT_THAT(hello.alpn, ElementsAre("h2", "http/1.1"));
    ASSERT_TRUE(hello.groups.contains(0x11ec));
  }
}

/// Returns the last answer of a reader that gets `wire` in pieces of `size` bytes. The bytes move from piece
/// to piece, as those of a growing buffer do.
ClientHelloResult read_in_pieces(const std::vector<std::byte>& wire, std::size_t size,
                                 std::vector<std::byte>& received, ClientHelloReader& reader) {
  ClientHelloResult answer = tl::unexpected(ClientHelloError{{ErrorKind::kIncomplete, "nothing has come"}});
  while (received.size() < wire.size()) {
    const std::size_t more = std::min(wire.size(), received.size() + size);
    received = std::vector(wire.begin(), wire.begin() + static_cast<std::ptrdiff_t>(more));
    answer = reader.resume(received);
    if (answer || answer.error().kind != ErrorKind::kIncomplete) break;
  }
  return answer;
}

/// Returns a ClientHello whose message has that many bytes. Most of these are padding.
HelloBuilder hello_of(std::size_t message_bytes) {
  constexpr std::size_t kExtensionHeaderBytes = 4;
  HelloBuilder hello = typical();
  const std::size_t rest = message_bytes - hello.message().size() - kExtensionHeaderBytes;
  return hello.extension(21, std::string(rest, '\0'));
}

TEST(ClientHelloReader, ReadsInPiecesWhatItReadsInOneGo) {
  for (const std::size_t record : {1U, 2U, 3U, 5U, 50U, 16384U}) {
    const auto wire = typical().records(record);
    const auto whole = parse_client_hello(wire);
    ASSERT_TRUE(whole);
    for (const std::size_t piece : {1U, 2U, 5U, 6U, 7U, 100U}) {
      std::vector<std::byte> received;
      ClientHelloReader reader;
      const auto hello = read_in_pieces(wire, piece, received, reader);
      ASSERT_TRUE(hello) << record << ' ' << piece << ": " << hello.error().what;
      EXPECT_EQ(received.size(), wire.size()) << "read before its last byte has come";
      EXPECT_EQ(hello->server_name, whole->server_name);
      EXPECT_EQ(hello->alpn, whole->alpn);
      EXPECT_EQ(hello->ja4(), whole->ja4());
      EXPECT_EQ(hello->message_bytes, whole->message_bytes);
      EXPECT_EQ(hello->wire_bytes, whole->wire_bytes);
    }
  }
}

TEST(ClientHelloReader, RefusesInPiecesWhatItRefusesInOneGo) {
  const auto wire = typical().records(60);
  for (std::size_t at = 0; at < wire.size(); ++at) {
    for (const unsigned value : {0x00U, 0x02U, 0xffU}) {
      std::vector<std::byte> damaged(wire);
      damaged[at] = static_cast<std::byte>(value);
      const auto whole = parse_client_hello(damaged);
      std::vector<std::byte> received;
      ClientHelloReader reader;
      const auto pieces = read_in_pieces(damaged, 1, received, reader);
      ASSERT_EQ(pieces.has_value(), whole.has_value()) << at;
      if (!whole) {
        ASSERT_EQ(pieces.error().kind, whole.error().kind) << at;
        ASSERT_EQ(pieces.error().what, whole.error().what) << at;
      }
    }
  }
}

// The reader looks at each byte once, but for those of an unfinished record header: five bytes in five pieces
// make fifteen looks. A reader that began anew with each piece would look at some 24 KiB of headers 24,000
// times.
TEST(ClientHelloReader, DoesWorkInProportionToTheBytes) {
  const auto wire = hello_of(kMaxClientHelloRecords).records(1);
  std::vector<std::byte> received;
  ClientHelloReader reader;
  const auto hello = read_in_pieces(wire, 1, received, reader);
  ASSERT_TRUE(hello) << hello.error().what;
  EXPECT_GT(reader.examined_bytes(), kMaxClientHelloRecords);
  EXPECT_LT(reader.examined_bytes(), 3 * wire.size());
}

TEST(ClientHelloReader, RefusesMoreRecordsThanAnyClientNeedsWhenTheNextOneBegins) {
  const auto wire = hello_of(10'000).records(1);
  std::vector<std::byte> received;
  ClientHelloReader reader;
  const auto hello = read_in_pieces(wire, 1, received, reader);
  ASSERT_FALSE(hello);
  EXPECT_EQ(hello.error().kind, ErrorKind::kRefused);
  EXPECT_EQ(hello.error().what, "a ClientHello in more than 4096 records");
  EXPECT_EQ(received.size(), kMaxClientHelloRecords * 6 + 5);
}

TEST(ClientHelloReader, TakesTheLongestMessageInSmallRecords) {
  const auto wire = hello_of(65'000).records(100);
  const auto hello = parse_client_hello(wire);
  ASSERT_TRUE(hello) << hello.error().what;
  EXPECT_EQ(hello->message_bytes, 65'000U);
  EXPECT_EQ(hello->server_name, "www.example.com");
}

TEST(ClientHello, IsJoinedIntoAsFewRecordsAsHoldItWithWhatFollowsIt) {
  for (const std::size_t message_bytes : {1000U, 16'384U, 16'385U, 40'000U}) {
    const HelloBuilder builder = hello_of(message_bytes);
    auto received = builder.records(message_bytes / 900);
    auto joined = builder.records();
    const std::size_t hello_bytes = joined.size();
    for (auto* bytes : {&received, &joined}) bytes->insert(bytes->end(), {std::byte{23}, std::byte{3}});
    auto hello = parse_client_hello(received);
    ASSERT_TRUE(hello) << hello.error().what;
    join_records(received, *hello);
    EXPECT_EQ(received, joined) << message_bytes;
    EXPECT_EQ(hello->wire_bytes, hello_bytes);
    EXPECT_THAT(hello->alpn, ElementsAre("h2", "http/1.1"));
  }
}

TEST(ClientHello, InOneRecordIsLeftAsItCame) {
  auto received = typical().records();
  const auto before = received;
  const auto* const place = received.data();
  auto hello = parse_client_hello(received);
  ASSERT_TRUE(hello);
  join_records(received, *hello);
  EXPECT_EQ(received, before);
  EXPECT_EQ(received.data(), place);
}

TEST(ClientHelloReader, RefusesARecordThatIsLongerThanItsMessageBeforeItHasCome) {
  const auto wire = typical().records();
  auto longer = wire;
  longer[4] ^= std::byte{1};
  longer[3] ^= std::byte{1};  // some 256 bytes more
  const auto hello = parse_client_hello(std::span(longer).first(9));
  ASSERT_FALSE(hello);
  EXPECT_EQ(hello.error().what, "data behind the ClientHello in its record");
}

TEST(ClientHello, KeepsABoundedNumberOfProtocolsAndChecksThemAll) {
  std::string protocols;
  for (int i = 0; i < 30'000; ++i) protocols += "\x01x";
  const auto wire = HelloBuilder().extension(16, HelloBuilder::vector16(protocols)).records();
  const auto hello = parse_client_hello(wire);
  ASSERT_TRUE(hello) << hello.error().what;
  EXPECT_EQ(hello->alpn.size(), kMaxAlpnProtocols);
  EXPECT_LE(hello->alpn.capacity(), 2 * kMaxAlpnProtocols);
  const auto broken = HelloBuilder().extension(16, HelloBuilder::vector16(protocols + '\0')).records();
  ASSERT_FALSE(parse_client_hello(broken));
}

TEST(ClientHello, WithAnyByteDamagedIsReadOrRefusedButNeverOverrun) {
  const auto wire = typical().records();
  for (std::size_t at = 0; at < wire.size(); ++at) {
    for (const unsigned value : {0x00U, 0x01U, 0x7fU, 0xffU}) {
      std::vector<std::byte> damaged(wire);
      damaged[at] = static_cast<std::byte>(value);
      damaged.shrink_to_fit();
      const auto hello = parse_client_hello(damaged);
      if (hello) static_cast<void>(hello->ja4());
    }
  }
}

TEST(ClientHello, OfOpensslIsReadAlike) {
  const SslCtxPtr context(SSL_CTX_new(TLS_client_method()));
  const SslPtr ssl(SSL_new(context.get()));
  SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  SSL_set_tlsext_host_name(ssl.get(), "api.example.com");
  SSL_set_tlsext_status_type(ssl.get(), TLSEXT_STATUSTYPE_ocsp);
  SSL_connect(ssl.get());
  std::vector<std::byte> wire(65536);
  wire.resize(static_cast<std::size_t>(BIO_read(SSL_get_wbio(ssl.get()), wire.data(), 65536)));
  const auto hello = parse_client_hello(wire);
  ASSERT_TRUE(hello) << hello.error().what;
  EXPECT_EQ(hello->server_name, "api.example.com");
  EXPECT_TRUE(hello->asks_for_staple);
  EXPECT_TRUE(hello->offers_version(0x0304));
  EXPECT_TRUE(hello->cipher_suites.contains(0x1301));
}

TEST(ClientHello, MayNameAnAddress) {
  const Kept hello(HelloBuilder().extension(0, server_name("192.0.2.1")));
  ASSERT_TRUE(hello.parsed);
  EXPECT_EQ(hello->server_name, "192.0.2.1");
}

TEST(ClientHello, OffersASessionByATicketOrAPsk) {
  const Kept empty_ticket(HelloBuilder().extension(35, ""));
  const Kept ticket(HelloBuilder().extension(35, "t"));
  const std::string identities =
      HelloBuilder::vector16("first") + "age1" + HelloBuilder::vector16("other") + "age2";
  const Kept psk(HelloBuilder().extension(35, "t").extension(41, HelloBuilder::vector16(identities)));
  EXPECT_TRUE(empty_ticket->ticket.empty());
  EXPECT_EQ(text_of(ticket->ticket), "t");
  EXPECT_EQ(text_of(psk->ticket), "first") << "a PSK goes before the ticket of TLS 1.2";
  EXPECT_EQ(psk->psk_identities, 2U);
}

TEST(ClientHello, IsRefusedWhenAnExtensionIsMalformedOrRepeated) {
  const auto kind_of = [](const HelloBuilder& hello) {
    const auto wire = hello.records();
    const auto parsed = parse_client_hello(wire);
    return parsed ? "read" : parsed.error().kind == ErrorKind::kMalformed ? "malformed" : "incomplete";
  };
  EXPECT_STREQ(kind_of(HelloBuilder().extension(0, server_name(std::string("a\0b", 3)))), "malformed");
  EXPECT_STREQ(kind_of(HelloBuilder().extension(0, "")), "malformed");
  EXPECT_STREQ(kind_of(HelloBuilder().extension(16, HelloBuilder::vector16(std::string("\0", 1)))),
               "malformed");
  EXPECT_STREQ(kind_of(HelloBuilder().extension(10, HelloBuilder::vector16("abc"))), "malformed");
  EXPECT_STREQ(kind_of(HelloBuilder().extension(51, HelloBuilder::vector16("abc"))), "malformed");
  EXPECT_STREQ(kind_of(HelloBuilder().extension(42, "").extension(42, "")), "malformed");
  EXPECT_STREQ(kind_of(HelloBuilder().extension(41, "p")), "malformed");
  EXPECT_STREQ(
      kind_of(HelloBuilder().extension(41, HelloBuilder::vector16(HelloBuilder::vector16("id") + "age"))),
      "malformed");
  EXPECT_STREQ(kind_of(HelloBuilder().suites("abc")), "malformed");
  EXPECT_STREQ(kind_of(HelloBuilder().suites("")), "malformed");
}

TEST(ClientHello, MayHaveAnyNumberOfExtensionsOfWhichTheFirstAreRemembered) {
  HelloBuilder hello;
  for (std::uint16_t type = 1000; type < 17'000; ++type) hello.extension(type, "");
  const auto wire = hello.extension(0, server_name("behind.example.com")).records();
  const auto parsed = parse_client_hello(wire);
  ASSERT_TRUE(parsed) << parsed.error().what;
  EXPECT_EQ(parsed->server_name, "behind.example.com");
  EXPECT_EQ(parsed->extensions.size(), kMaxExtensions);
  EXPECT_EQ(parsed->extensions_left_out, 16'001 - kMaxExtensions);
  EXPECT_LE(parsed->extensions.capacity(), 2 * kMaxExtensions);
}

TEST(ClientHello, MayHaveAnUnknownExtensionTwice) {
  const auto wire = typical().extension(7777, "").extension(7777, "").records();
  EXPECT_TRUE(parse_client_hello(wire));
}

TEST(ClientHello, SaysWhetherItsClientCanResume) {
  EXPECT_FALSE(Kept(typical())->offers_psk_dhe_ke);
  EXPECT_FALSE(Kept(HelloBuilder().extension(45, std::string("\x01\x00", 2)))->offers_psk_dhe_ke);
  EXPECT_TRUE(Kept(HelloBuilder().extension(45, "\x01\x01"))->offers_psk_dhe_ke);
  EXPECT_TRUE(Kept(HelloBuilder().extension(45, std::string("\x02\x00\x01", 3)))->offers_psk_dhe_ke);
}

TEST(ClientHello, MayBeAsLongAsItsLengthsAllow) {
  HelloBuilder hello = typical();
  hello.suites(std::string(65'534, 'x')).extension(21, std::string(65'300, '\0'));
  const auto wire = hello.records();
  const auto parsed = parse_client_hello(wire);
  ASSERT_TRUE(parsed) << parsed.error().what;
  EXPECT_GT(parsed->message_bytes, 130'000U);
}

/// What the reader answers to `wire`; it has to refuse it.
ClientHelloError refusal_of(const std::vector<std::byte>& wire) {
  auto parsed = parse_client_hello(wire);
  if (!parsed) return std::move(parsed.error());
  return {{ErrorKind::kInvalid, "it was read"}};
}

std::string header_of(std::size_t message_bytes) {
  return std::string("\x16\x03\x01\x00\x04\x01", 6) + static_cast<char>(message_bytes >> 16) +
         HelloBuilder::number16(static_cast<std::uint16_t>(message_bytes));
}

TEST(ClientHello, LongerThanItsLengthsAllowIsRefusedByItsHeader) {
  EXPECT_EQ(refusal_of(bytes_of(header_of(kMaxClientHelloBytes))).kind, ErrorKind::kIncomplete);
  const ClientHelloError error = refusal_of(bytes_of(header_of(kMaxClientHelloBytes + 1)));
  EXPECT_EQ(error.kind, ErrorKind::kMalformed);
  EXPECT_EQ(error.alert, Alert::kIllegalParameter);
}

/// `content` as one record of the type.
std::string record(char type, const std::string& content) {
  return type + std::string("\x03\x01") + HelloBuilder::vector16(content);
}

// RFC 8446, sections 4, 5.1 and 6.2. tests/e2e/test_first_flight.py compares the same alerts with those of
// OpenSSL's own server.
TEST(ClientHello, ThatIsNoneIsRefusedWithItsAlert) {
  const std::string begin = record('\x16', typical().message().substr(0, 50));
  const auto alert_for = [](const std::string& wire) {
    const ClientHelloError error = refusal_of(bytes_of(wire));
    EXPECT_EQ(error.kind, ErrorKind::kMalformed) << error.what;
    EXPECT_FALSE(error.is_from_client);
    return error.alert;
  };
  EXPECT_EQ(alert_for(std::string("\x16\x03\x01\x40\x01", 5)), Alert::kRecordOverflow);
  EXPECT_EQ(alert_for(begin + "\x16\x03\x01\xff\xff"), Alert::kRecordOverflow);
  EXPECT_EQ(alert_for(record('\x16', "")), Alert::kUnexpectedMessage);
  for (const char type : {'\x14', '\x17', '\x18', '\x19'}) {
    EXPECT_EQ(alert_for(record(type, "x")), Alert::kUnexpectedMessage);
    EXPECT_EQ(alert_for(begin + record(type, "x")), Alert::kUnexpectedMessage);
  }
  EXPECT_EQ(alert_for(begin + "\x16\x02"), Alert::kProtocolVersion);
  EXPECT_EQ(alert_for(record('\x16', "\x02")), Alert::kUnexpectedMessage);
  EXPECT_EQ(alert_for(record('\x16', typical().message() + "QUIT\r\n")), Alert::kUnexpectedMessage);
  EXPECT_EQ(alert_for(record('\x15', "x")), Alert::kUnexpectedMessage);
  EXPECT_EQ(alert_for(record('\x16', typical().extension(13, "").message())), Alert::kIllegalParameter);
  EXPECT_EQ(alert_for(record('\x16', HelloBuilder().extension(45, "").message())), Alert::kDecodeError);
  EXPECT_EQ(
      alert_for(record('\x16', HelloBuilder().extension(0, server_name(std::string(256, 'a'))).message())),
      Alert::kUnrecognizedName);
}

TEST(ClientHello, InPlaceOfWhichAnAlertComesIsTheClientsEnd) {
  const std::string begin = record('\x16', typical().message().substr(0, 50));
  const std::string alert = record('\x15', "\x02\x28");
  for (const std::string& wire : {alert, begin + alert}) {
    const ClientHelloError error = refusal_of(bytes_of(wire));
    EXPECT_TRUE(error.is_from_client) << error.what;
    EXPECT_EQ(error.alert, Alert::kHandshakeFailure);
    EXPECT_EQ(error.what, "the client sent alert 40 in place of its ClientHello");
    for (std::size_t size = wire.size() - 6; size < wire.size(); ++size)
      EXPECT_EQ(refusal_of(bytes_of(wire.substr(0, size))).kind, ErrorKind::kIncomplete);
  }
}

TEST(ClientHello, CountsForDryRunPolicies) {
  const Kept modern(typical());
  EXPECT_FALSE(tls13_only_would_refuse(*modern.parsed));
  EXPECT_FALSE(pq_only_would_refuse(*modern.parsed));
  const Kept old{HelloBuilder()};
  EXPECT_TRUE(tls13_only_would_refuse(*old.parsed));
  EXPECT_TRUE(pq_only_would_refuse(*old.parsed));
}

TEST(FirstBytes, TellPlainHttpFromTlsAndFromTheRest) {
  const auto classify = [](std::string_view text) { return classify_first_bytes(bytes_of(text)); };
  EXPECT_EQ(classify("GET / HTTP/1.1"), FirstBytes::kPlainHttp);
  EXPECT_EQ(classify("POST /"), FirstBytes::kPlainHttp);
  EXPECT_EQ(classify("G"), FirstBytes::kPlainHttp);
  EXPECT_EQ(classify("GARBAGE"), FirstBytes::kOther);
  EXPECT_EQ(classify("PRI * HTTP/2.0"), FirstBytes::kPlainHttp);
  EXPECT_EQ(classify(""), FirstBytes::kTls);
  EXPECT_EQ(classify("\x16"), FirstBytes::kTls);
  EXPECT_EQ(classify("\x16\x03\x01"), FirstBytes::kTls);
  EXPECT_EQ(classify("\x16\x02"), FirstBytes::kOther);
  EXPECT_EQ(classify("\x15\x03"), FirstBytes::kTls) << "a record of another type";
  EXPECT_EQ(classify("\x19\x03"), FirstBytes::kOther);
  EXPECT_EQ(classify("SSH-2.0-x"), FirstBytes::kOther);
}

TEST(FirstBytes, TellAClientHelloOfSsl2) {
  const auto classify = [](const std::string& text) { return classify_first_bytes(bytes_of(text)); };
  const std::string hello("\x80\x2e\x01\x03\x01", 5);
  for (std::size_t size = 1; size < hello.size(); ++size)
    EXPECT_EQ(classify(hello.substr(0, size)), FirstBytes::kUndecided) << size;
  EXPECT_EQ(classify(hello), FirstBytes::kSsl2);
  EXPECT_EQ(classify(std::string("\x80\x2e\x01\x00\x02", 5)), FirstBytes::kSsl2);
  EXPECT_EQ(classify(std::string("\x80\x2e\x01\x00\x01", 5)), FirstBytes::kOther);
  EXPECT_EQ(classify("\x80\x2e\x02"), FirstBytes::kOther);
}

TEST(Ja4, HasCountsVersionAndAlpnInItsFirstPart) {
  EXPECT_EQ(Kept(typical())->ja4().substr(0, 11), "t13d0206h2_");
  EXPECT_EQ(Kept(HelloBuilder())->ja4().substr(0, 11), "t12i020000_");
}

TEST(Ja4, DependsNeitherOnOrderNorOnGrease) {
  const std::string plain = std::string("\x13\x01\x13\x02", 4);
  const std::string greased = std::string("\x3a\x3a\x13\x02\x13\x01", 6);
  const Kept one(HelloBuilder().suites(plain).extension(23, "").extension(21, ""));
  const Kept other(HelloBuilder().suites(greased).extension(21, "").extension(0x0a0a, "").extension(23, ""));
  EXPECT_EQ(one->ja4(), other->ja4());
}

TEST(Ja4, HashesSuitesAndExtensionsAsPublished) {
  // The SHA-256 of "1301,1302,1303" begins with 55b375c5d22e; the same code computes that of
  // "0005,000a_0403", 9c...
  const Kept hello(HelloBuilder().suites(std::string("\x13\x03\x13\x01\x13\x02", 6)));
  EXPECT_EQ(hello->ja4(), "t12i030000_55b375c5d22e_000000000000");
}

}  // namespace
}  // namespace headgate
