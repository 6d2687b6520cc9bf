#include "connection/unfinished_hellos.h"

#include "connection/fixture.h"
#include "unit/connection/hello_of.h"

namespace headgate::test {
namespace {

/// Clients that send beginnings of ClientHellos. The fixture's own connection is the first; all share a bound
/// that a test sets.
class UnfinishedHellosTest : public ConnectionTest {
 protected:
  static constexpr std::size_t kPieceBytes = 1000;

  /// The beginning of a ClientHello of 60,000 bytes in one record of 16,000: many pieces must come before it
  /// is whole.
  static std::string piece() {
    std::string bytes("\x16\x03\x01\x3e\x80\x01\x00\xea\x60", 9);
    return bytes.append(kPieceBytes - bytes.size(), 'x');
  }

  /// Another client of the same worker, accepted after all others.
  std::shared_ptr<Script> another() {
    auto script = std::make_shared<Script>();
    others.push_back(accept(script, next_id++));
    return script;
  }
  [[nodiscard]] Connection& other(std::size_t index) { return *others[index]; }

  std::uint64_t next_id = 2;
  std::vector<std::unique_ptr<Connection>> others;
};

TEST_F(UnfinishedHellosTest, CountsWhatIsHeldAsLongAsItIsHeld) {
  start();
  EXPECT_EQ(unfinished->bytes(), 0U) << "a client that has said nothing holds nothing";
  client->sends(piece());
  wake();
  EXPECT_EQ(unfinished->connections(), 1U);
  EXPECT_GE(unfinished->bytes(), kPieceBytes);
  EXPECT_LE(unfinished->bytes(), 2 * kPieceBytes);
  client->leaves();
  wake();
  EXPECT_END("client_left_in_handshake");
  EXPECT_EQ(unfinished->connections(), 0U);
  EXPECT_EQ(unfinished->bytes(), 0U);
}

TEST_F(UnfinishedHellosTest, CountsNothingOfAHelloThatIsWhole) {
  const std::string hello = client_hello();
  start();
  client->sends(hello.substr(0, hello.size() - 1));
  wake();
  EXPECT_GE(unfinished->bytes(), hello.size() - 1);
  client->sends(hello.substr(hello.size() - 1));
  wake();
  EXPECT_EQ(phase(), "handshake");
  EXPECT_EQ(unfinished->bytes(), 0U);
}

/// A ClientHello of 40 KB, whole.
std::string long_hello() {
  HelloOf hello;
  hello.ciphers = numbers(20'000);
  return FakeTransport::text_of(hello.records());
}

TEST_F(UnfinishedHellosTest, CountsAHelloOfUncommonLengthUntilItsHandshakeIsDone) {
  start();
  client->sends(long_hello());
  wake();
  EXPECT_EQ(phase(), "handshake");
  EXPECT_EQ(unfinished->connections(), 1U);
  EXPECT_GE(unfinished->bytes(), 40'000U);
  permits.grant();
  EXPECT_EQ(phase(), "relay");
  EXPECT_EQ(unfinished->bytes(), 0U);
}

TEST_F(UnfinishedHellosTest, ShedsTheOldestOfTheHandshakesWithHellosOfUncommonLength) {
  unfinished_bound = 60'000;
  start();
  client->sends(long_hello());
  wake();
  EXPECT_EQ(phase(), "handshake");
  const auto second = another();
  second->sends(long_hello());
  wake();
  EXPECT_TRUE(connection->is_buried());
  EXPECT_EQ(ends(CloseReason::kHandshakeShed), 1U);
  EXPECT_EQ(name(other(0).phase()), "handshake");
  EXPECT_EQ(unfinished->connections(), 1U);
}

TEST_F(UnfinishedHellosTest, CountsTheRoomThatIsTakenNotTheBytesInIt) {
  start();
  for (const char byte : piece()) {
    client->sends(std::string(1, byte));
    wake();
    const auto& received = std::get<Hello>(connection->phase()).received;
    ASSERT_EQ(unfinished->bytes(), received.capacity());
    ASSERT_LE(received.capacity(), received.size() * 3 / 2 + 1);
  }
}

TEST_F(UnfinishedHellosTest, ShedsTheConnectionThatWasAcceptedFirst) {
  unfinished_bound = 2 * kPieceBytes + kPieceBytes / 2;
  start();
  const auto second = another();
  const auto third = another();
  third->sends(piece());  // not in the order in which they were accepted
  wake();
  client->sends(piece());
  wake();
  EXPECT_FALSE(connection->is_buried());
  second->sends(piece());
  wake();
  EXPECT_END("handshake_shed");
  EXPECT_EQ(connection->info().detail.view(), kUnfinishedHelloShed);
  const auto& shed =
      connection->listener().metrics->handshakes[static_cast<std::size_t>(HandshakeResult::kShed)];
  EXPECT_EQ(shed[0].value(), 1U);
  EXPECT_FALSE(other(0).is_buried());
  EXPECT_FALSE(other(1).is_buried());
  EXPECT_EQ(unfinished->connections(), 2U);
  EXPECT_LE(unfinished->bytes(), unfinished_bound);
}

TEST_F(UnfinishedHellosTest, ASourceCannotTakeTheRoomOfAnother) {
  unfinished_bound = 3 * kPieceBytes + kPieceBytes / 2;
  start();
  client->sends(piece());  // the honest one, which is the oldest
  wake();
  source = "192.0.2.8:4711";
  for (int i = 0; i < 10; ++i) {
    another()->sends(piece());
    wake();
    EXPECT_FALSE(connection->is_buried());
  }
  EXPECT_EQ(unfinished->connections(), 3U);
  EXPECT_TRUE(other(0).is_buried());
  EXPECT_FALSE(other(9).is_buried());
}

TEST_F(UnfinishedHellosTest, ShedsTheOldestWhenItIsTheOneThatSends) {
  unfinished_bound = 2 * kPieceBytes + kPieceBytes / 2;
  start();
  const auto second = another();
  second->sends(piece());
  client->sends(piece());
  wake();
  EXPECT_FALSE(connection->is_buried());
  client->sends(piece());
  wake();
  EXPECT_END("handshake_shed");
  EXPECT_EQ(connection->info().detail.view(), kUnfinishedHelloShed);
  EXPECT_FALSE(other(0).is_buried());
  EXPECT_EQ(unfinished->connections(), 1U);
}

TEST_F(UnfinishedHellosTest, ServesAWholeHelloWhileTheBoundIsReached) {
  unfinished_bound = kPieceBytes + kPieceBytes / 2;
  start();
  client->sends(piece());
  wake();
  const auto honest = another();
  honest->sends(client_hello());
  wake();
  EXPECT_EQ(name(other(0).phase()), "handshake");
  EXPECT_FALSE(connection->is_buried()) << "what comes whole is never held";
}

TEST_F(UnfinishedHellosTest, CountsTheBeginningOfAProxyHeader) {
  listener().proxy_protocol.emplace().from.push_back(*Network::parse("192.0.2.0/24"));
  start();
  client->sends("PROXY TCP4 198.51.100.9");
  wake();
  EXPECT_EQ(phase(), "proxy_in");
  EXPECT_EQ(unfinished->connections(), 1U);
  EXPECT_GE(unfinished->bytes(), 23U);
  client->sends(" 192.0.2.1 5 443\r\n");
  wake();
  EXPECT_EQ(phase(), "hello");
}

TEST_F(UnfinishedHellosTest, CountsTheBeginningOfAStarttlsCommand) {
  listener().starttls = StarttlsProtocol::kSmtp;
  start();
  client->sends("EHLO mail.exam");
  wake();
  EXPECT_EQ(phase(), "starttls_in");
  EXPECT_EQ(unfinished->connections(), 1U);
  EXPECT_GE(unfinished->bytes(), 14U);
}

TEST_F(UnfinishedHellosTest, RefusesAHelloInTooManyRecordsWithAnAlert) {
  start();
  std::string records;
  for (int i = 0; i < 10'000; ++i)
    records += std::string("\x16\x03\x01\x00\x01", 5) + (i == 0 ? '\x01' : '\0');
  // A message of 40,000 bytes, all zeros.
  records[6 * 2 + 5] = '\x9c';
  records[6 * 3 + 5] = '\x40';
  client->sends(records);
  wake();
  EXPECT_EQ(phase(), "shutdown");
  EXPECT_EQ(connection->info().detail.view(), "a ClientHello in more than 4096 records");
  EXPECT_EQ(client->written, std::string("\x15\x03\x03\x00\x02\x02\x0a", 7));
}

}  // namespace
}  // namespace headgate::test
