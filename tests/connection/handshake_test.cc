#include "connection/fixture.h"

namespace headgate::test {
namespace {

using HandshakeTest = ConnectionTest;

TEST_F(HandshakeTest, GoesFromHelloToRelay) {
  const std::string hello = client_hello();
  client->sends(hello);
  start();
  EXPECT_EQ(phase(), "handshake");
  EXPECT_EQ(handshakes.script.received, hello);
  permits.grant();
  EXPECT_EQ(phase(), "relay");
  EXPECT_EQ(connection->info().server_name.view(), "www.example.com");
  EXPECT_EQ(permits.in_progress, 0);
}

TEST_F(HandshakeTest, GathersAHelloThatComesInPieces) {
  const std::string hello = client_hello();
  start();
  for (const char byte : hello) {
    EXPECT_EQ(phase(), "hello");
    EXPECT_EQ(connection->waiting().client, Interest::kRead);
    client->sends(std::string(1, byte));
    wake();
  }
  EXPECT_EQ(phase(), "handshake");
  EXPECT_EQ(handshakes.script.received, hello);
}

/// A client that sends the beginning of its ClientHello at once, and then nothing.
class SlowHelloTest : public ConnectionTest {
 protected:
  SlowHelloTest() { listener().timeouts.handshake = 1h; }
  void begin(std::size_t size) {
    start();
    pass(1min);
    EXPECT_EQ(phase(), "hello") << "a client without a byte has the time of the handshake";
    client->sends(hello.substr(0, size));
    wake();
  }
  const std::string hello = client_hello();
};

TEST_F(SlowHelloTest, IsEndedWhenItsBytesHaveBeenUsedUp) {
  listener().limits.hello_bytes_per_second = 10;
  begin(100);
  pass(10s - 1ms);
  EXPECT_EQ(phase(), "hello");
  pass(1ms);
  EXPECT_END("slow_hello");
  const auto& timeouts =
      connection->listener().metrics->handshakes[static_cast<std::size_t>(HandshakeResult::kTimeout)];
  EXPECT_EQ(timeouts[0].value(), 1U);
  EXPECT_EQ(recorder.failed().size(), 1U);
}

TEST_F(SlowHelloTest, HasAFewSecondsInAnyCase) {
  listener().limits.hello_bytes_per_second = 1'000'000;
  begin(1);
  pass(5s - 1ms);
  EXPECT_EQ(phase(), "hello");
  pass(1ms);
  EXPECT_END("slow_hello");
}

TEST_F(SlowHelloTest, GoesOnWhileItKeepsToTheRate) {
  listener().limits.hello_bytes_per_second = 10;
  begin(60);
  for (std::size_t sent = 60; sent < hello.size(); sent += 10) {
    pass(1s);
    EXPECT_EQ(phase(), "hello") << sent;
    client->sends(hello.substr(sent, 10));
    wake();
  }
  EXPECT_EQ(phase(), "handshake");
}

TEST_F(SlowHelloTest, EndsWithTheTimeOfTheHandshakeAtTheLatest) {
  listener().timeouts.handshake = 62s;
  begin(1);
  pass(2s);
  EXPECT_END("handshake_timeout");
}

TEST_F(SlowHelloTest, HasNoBoundOfItsOwnWhereTheLimitIsOff) {
  listener().limits.hello_bytes_per_second = 0;
  begin(1);
  pass(59min - 1ms);
  EXPECT_EQ(phase(), "hello");
  pass(1ms);
  EXPECT_END("handshake_timeout");
}

TEST_F(HandshakeTest, GivesAHelloOfManyRecordsToTlsInOne) {
  const std::string hello = client_hello();
  constexpr std::size_t kHeader = 5;
  start();
  for (const char byte : hello.substr(kHeader)) {
    EXPECT_EQ(phase(), "hello");
    client->sends(std::string("\x16\x03\x01\x00\x01", kHeader) + byte);
    wake();
  }
  EXPECT_EQ(phase(), "handshake");
  EXPECT_EQ(handshakes.script.received, hello);
}

TEST_F(HandshakeTest, PaysForNoCryptographyBeforeItIsPermitted) {
  client->sends(client_hello());
  start();
  EXPECT_EQ(client->handshake_steps, 0);
  EXPECT_EQ(connection->waiting().client, Interest::kNone);
  permits.grant();
  EXPECT_EQ(client->handshake_steps, 1);
}

TEST_F(HandshakeTest, WaitsForTheDirectionThatTlsAsksFor) {
  client->handshakes = {IoStatus::kWantWrite, IoStatus::kWantRead, IoStatus::kDone};
  client->sends(client_hello());
  start();
  permits.grant();
  EXPECT_EQ(connection->waiting().client, Interest::kWrite);
  wake();
  EXPECT_EQ(connection->waiting().client, Interest::kRead);
  client->sends("finished");
  wake();
  EXPECT_EQ(phase(), "relay");
  EXPECT_EQ(permits.waiting, nullptr) << "what follows the first step is paid for";
}

TEST_F(HandshakeTest, IsShedWhenTheQueueRefusesIt) {
  client->sends(client_hello());
  start();
  std::exchange(permits.waiting, nullptr)->owner->permit_refused();
  EXPECT_EQ(client->handshake_steps, 0);
  EXPECT_EQ(connection->info().detail.view(), "waited 1.5 s for CPU time");
  EXPECT_END("handshake_shed");
}

TEST_F(HandshakeTest, IsCountedOnceWhenTheOneWithTheServerIsShed) {
  app().tls.emplace().verify = false;
  client->handshakes = {IoStatus::kDone};
  client->sends(client_hello());
  start();
  permits.grant();
  ASSERT_EQ(phase(), "connect");
  ASSERT_NE(permits.waiting, nullptr);
  std::exchange(permits.waiting, nullptr)->owner->permit_refused();
  const auto counted = [&](HandshakeResult result) {
    return connection->listener().metrics->handshakes[static_cast<std::size_t>(result)][0].value();
  };
  EXPECT_EQ(counted(HandshakeResult::kOk), 1U);
  EXPECT_EQ(counted(HandshakeResult::kShed), 0U);
  EXPECT_END("handshake_shed");
}

TEST_F(HandshakeTest, IsShedWhenAnotherOneTakesItsPlace) {
  client->sends(client_hello());
  start();
  std::exchange(permits.waiting, nullptr)->owner->shed();
  EXPECT_EQ(connection->info().detail.view(), "limits.max_handshakes");
  EXPECT_END("handshake_shed");
}

TEST_F(HandshakeTest, IsShedWhenTheListenersRateIsReached) {
  listener().limits.handshake_rate = 5;
  start();
  while (connection->listener().policy->counters->take_handshake(5, host.now())) {
  }
  client->sends(client_hello());
  wake();
  EXPECT_EQ(client->handshake_steps, 0);
  EXPECT_END("handshake_shed");
}

TEST_F(HandshakeTest, LeavesTheQueueWhenItsTimeIsOver) {
  client->sends(client_hello());
  start();
  pass(listener().timeouts.handshake);
  EXPECT_EQ(permits.waiting, nullptr);
  EXPECT_END("handshake_timeout");
}

TEST_F(HandshakeTest, CountsItsTimeFromAcceptOverAllPhasesBeforeTheRelay) {
  listener().timeouts.handshake = 10s;
  listener().proxy_protocol.emplace().from.push_back(*Network::parse("192.0.2.0/24"));
  start();
  EXPECT_EQ(phase(), "proxy_in");
  pass(4s);
  client->sends("PROXY TCP4 198.51.100.9 192.0.2.1 5 443\r\n");
  wake();
  EXPECT_EQ(phase(), "hello");
  pass(4s);
  client->handshakes = {IoStatus::kWantRead};
  client->sends(client_hello());
  wake();
  permits.grant();
  EXPECT_EQ(phase(), "handshake");
  pass(2s - 1ms);
  EXPECT_FALSE(connection->is_buried());
  pass(1ms);
  EXPECT_END("handshake_timeout");
}

TEST_F(HandshakeTest, AClientThatSaysNothingIsNoProbeButATimeout) {
  start();
  pass(listener().timeouts.handshake);
  EXPECT_END("handshake_timeout");
}

TEST_F(HandshakeTest, AClientThatLeavesWithoutAByteIsAProbe) {
  client->leaves();
  start();
  EXPECT_END("probe");
}

TEST_F(HandshakeTest, AClientThatLeavesInItsHelloIsNamedSo) {
  start();
  client->sends(client_hello().substr(0, 100));
  wake();
  client->leaves();
  wake();
  EXPECT_END("client_left_in_handshake");
}

TEST_F(HandshakeTest, AClientThatLeavesInTheHandshakeIsNamedSo) {
  client->sends(client_hello());
  client->handshakes = {IoStatus::kWantRead, IoStatus::kEnded};
  start();
  permits.grant();
  client->sends("x");
  wake();
  EXPECT_END("client_left_in_handshake");
}

TEST_F(HandshakeTest, AResetInTheHandshakeIsAClientThatLeft) {
  client->sends(client_hello());
  client->handshakes = {IoStatus::kFailed};
  client->failure.kind = FailureKind::kReset;
  start();
  permits.grant();
  EXPECT_END("client_left_in_handshake");
}

TEST_F(HandshakeTest, LetsTheClientReadTheAlertBeforeTheConnectionCloses) {
  client->sends(client_hello());
  client->handshakes = {IoStatus::kFailed};
  client->failure = {.kind = FailureKind::kProtocol, .alert = 40, .what = "no shared cipher", .error = 0};
  client->refusal = HandshakeFailure::kNoSharedCipher;
  start();
  permits.grant();
  EXPECT_EQ(phase(), "shutdown");
  EXPECT_TRUE(client->cut_short);
  EXPECT_FALSE(client->reset);
  client->leaves();
  wake();
  EXPECT_END("handshake_failed");
  std::map<std::pair<HandshakeFailure, std::uint8_t>, std::uint64_t> failures;
  connection->listener().metrics->handshake_failures.add_to(failures);
  EXPECT_EQ((failures[{HandshakeFailure::kNoSharedCipher, 40}]), 1U);
  EXPECT_EQ(recorder.failed().size(), 1U);
}

TEST_F(HandshakeTest, DoesNotWaitForeverForAClientThatKeepsTalkingAfterTheAlert) {
  client->sends("\x80garbage");
  start();
  EXPECT_EQ(phase(), "shutdown");
  pass(listener().timeouts.shutdown - 1ms);
  EXPECT_FALSE(connection->is_buried());
  pass(1ms);
  EXPECT_END("not_tls");
}

TEST_F(HandshakeTest, AnswersPlainHttpWithAWholeResponse) {
  client->sends("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  client->leaves();
  start();
  EXPECT_THAT(client->written, testing::StartsWith("HTTP/1.1 400 "));
  const std::size_t body = client->written.find("\r\n\r\n") + 4;
  EXPECT_THAT(
      client->written,
      testing::HasSubstr("Content-Length: " + std::to_string(client->written.size() - body) + "\r\n"));
  EXPECT_END("plaintext_http");
}

TEST_F(HandshakeTest, AnswersGarbageWithAnAlert) {
  client->sends("SSH-2.0-OpenSSH_9.2\r\n");
  client->leaves();
  start();
  EXPECT_EQ(client->written.substr(0, 1), "\x15");
  EXPECT_TRUE(client->cut_short);
  EXPECT_END("not_tls");
}

TEST_F(HandshakeTest, AnswersADamagedHelloWithDecodeError) {
  // The record has 261 bytes and its ClientHello 257: the message is complete, and its contents are nonsense.
  client->sends(std::string("\x16\x03\x01\x01\x05\x01\x00\x01\x01", 9) + std::string(257, '\xff'));
  client->leaves();
  start();
  ASSERT_FALSE(client->written.empty());
  EXPECT_EQ(client->written.back(), '\x32');
  EXPECT_END("handshake_failed");
}

TEST_F(HandshakeTest, AnswersARecordThatIsTooLongAndTellsTheAlert) {
  client->sends(std::string("\x16\x03\x01\x40\x01", 5));
  client->leaves();
  start();
  EXPECT_EQ(client->written, std::string("\x15\x03\x03\x00\x02\x02\x16", 7));
  EXPECT_EQ(connection->info().failure, HandshakeFailure::kProtocolError);
  ASSERT_EQ(recorder.failed().size(), 1U);
  EXPECT_EQ(recorder.failed().front().alert, 22);
  EXPECT_END("handshake_failed");
}

TEST_F(HandshakeTest, AnswersAHelloOfSsl2WithProtocolVersionWhenItIsCertain) {
  client->sends(std::string("\x80\x2e\x01\x03", 4));
  start();
  EXPECT_EQ(phase(), "hello");
  client->sends("\x01");
  client->leaves();
  wake();
  EXPECT_EQ(client->written.back(), '\x46');
  EXPECT_EQ(connection->info().failure, HandshakeFailure::kUnsupportedVersion);
  EXPECT_END("handshake_failed");
}

TEST_F(HandshakeTest, AnAlertInPlaceOfTheHelloIsNamedAndGetsNoAlert) {
  client->sends(std::string("\x15\x03\x01\x00\x02\x02\x50", 7));
  client->leaves();
  start();
  EXPECT_EQ(client->written, "");
  EXPECT_EQ(connection->info().failure, HandshakeFailure::kPeerAlert);
  EXPECT_EQ(connection->info().alert, 80);
  EXPECT_EQ(connection->info().detail.view(), "the client sent alert 80 in place of its ClientHello");
  EXPECT_END("handshake_failed");
}

TEST_F(HandshakeTest, ACloseNotifyInPlaceOfTheHelloIsAClientThatLeft) {
  client->sends(std::string("\x15\x03\x01\x00\x02\x01\x00", 7));
  start();
  EXPECT_EQ(client->written, "");
  EXPECT_EQ(connection->info().failure, HandshakeFailure::kClientLeft);
  EXPECT_END("client_left_in_handshake");
}

// Records of one byte can cut a message of bearable size into any number of bytes on the network. Once the
// connection reads no more, a socket that stays readable would wake the loop again and again.
TEST_F(HandshakeTest, RefusesAHelloWhoseRecordsTakeTooManyBytes) {
  std::string records = std::string("\x16\x03\x01\x00\x04\x01\x00\xf0\x00", 9);
  for (int i = 0; i < 20'000; ++i) records += std::string("\x16\x03\x01\x00\x01\x00", 6);
  client->sends(records);
  start();
  wake();
  EXPECT_EQ(phase(), "shutdown");
  client->leaves();
  for (int i = 0; i < 10 && !connection->is_buried(); ++i) wake();
  EXPECT_END("handshake_failed");
}

TEST_F(HandshakeTest, RefusesAnUnknownNameWhereTheListenerSaysSo) {
  listener().tls->unknown_name = config::UncoveredName::kReject;
  client->sends(client_hello("other.example.net"));
  client->leaves();
  start();
  EXPECT_EQ(client->written.back(), '\x70');
  EXPECT_EQ(connection->info().failure, HandshakeFailure::kUnknownName);
  EXPECT_END("handshake_failed");
}

TEST_F(HandshakeTest, EachStepThatNeedsAPermitIsQueued) {
  handshakes.script.permits_before_steps = {1};
  client->handshakes = {IoStatus::kWantRead, IoStatus::kDone};
  client->sends(client_hello());
  start();
  permits.grant();
  EXPECT_EQ(connection->waiting().client, Interest::kRead);
  client->sends("another hello");
  wake();
  ASSERT_NE(permits.waiting, nullptr) << "a second hello queues as the first one did";
  EXPECT_EQ(client->handshake_steps, 1);
  EXPECT_EQ(connection->waiting().client, Interest::kNone);
  permits.grant();
  EXPECT_EQ(phase(), "relay");
}

TEST_F(HandshakeTest, TellsTheQueueWhatAPermittedStepTook) {
  client->handshakes = {IoStatus::kWantRead, IoStatus::kDone};
  client->on_handshake = [this] { host.time += 3ms; };
  client->sends(client_hello());
  start();
  permits.grant();
  EXPECT_THAT(permits.learned, testing::ElementsAre(Duration(3ms)));
}

TEST_F(HandshakeTest, WaitsForWritingWhileBytesAreUnsentWhateverTlsAsksFor) {
  client->handshakes = {IoStatus::kWantRead, IoStatus::kWantRead, IoStatus::kDone};
  client->kept = "the rest of a long flight";
  client->flushes = {IoStatus::kWantWrite};
  client->sends(client_hello());
  start();
  permits.grant();
  EXPECT_EQ(connection->waiting().client, Interest::kBoth);
}

// The client may never answer, because it lacks the rest of the flight. So the permit must not be what the
// rest waits for.
TEST_F(HandshakeTest, SendsTheRestOfAFlightWhileItWaitsForAPermit) {
  handshakes.script.permits_before_steps = {1};
  client->handshakes = {IoStatus::kWantRead, IoStatus::kDone};
  client->kept = "the rest of a long flight";
  client->flushes = {IoStatus::kWantWrite, IoStatus::kDone};
  client->sends(client_hello());
  start();
  permits.grant();
  client->sends("another hello");
  wake();
  ASSERT_NE(permits.waiting, nullptr);
  EXPECT_EQ(connection->waiting().client, Interest::kWrite);
  connection->resume();
  EXPECT_EQ(client->written, "");
  EXPECT_EQ(connection->waiting().client, Interest::kWrite) << "whatever woke the connection";
  wake();
  EXPECT_EQ(client->written, "the rest of a long flight");
  EXPECT_EQ(connection->waiting().client, Interest::kNone);
  EXPECT_NE(permits.waiting, nullptr);
  EXPECT_EQ(client->handshake_steps, 1);
}

TEST_F(HandshakeTest, SendsTheRestOfAFlightWhileAnOperationIsUnderWay) {
  client->handshakes = {IoStatus::kPaused, IoStatus::kDone};
  client->kept = "the certificate";
  client->flushes = {IoStatus::kWantWrite, IoStatus::kDone};
  client->sends(client_hello());
  start();
  permits.grant();
  EXPECT_EQ(connection->waiting().client, Interest::kWrite);
  connection->resume();
  EXPECT_EQ(connection->waiting().client, Interest::kWrite) << "whatever woke the connection";
  wake();
  EXPECT_EQ(client->written, "the certificate");
  EXPECT_EQ(connection->waiting().client, Interest::kNone);
  EXPECT_EQ(client->handshake_steps, 1);
}

TEST_F(HandshakeTest, GoesOnWhenTheOperationOnTheOtherThreadIsFinished) {
  client->handshakes = {IoStatus::kPaused, IoStatus::kDone};
  client->sends(client_hello());
  start();
  permits.grant();
  ASSERT_NE(host.operation, nullptr);
  EXPECT_EQ(phase(), "handshake");
  EXPECT_EQ(connection->waiting().client, Interest::kNone);
  connection->operation_finished(5ms);
  EXPECT_EQ(phase(), "relay");
  EXPECT_THAT(permits.learned, testing::ElementsAre(Duration(5ms)))
      << "the operation's time is part of the price";
}

TEST_F(HandshakeTest, TakesNoStepWhileAnOperationIsUnderWay) {
  client->handshakes = {IoStatus::kPaused, IoStatus::kDone};
  client->sends(client_hello());
  start();
  permits.grant();
  connection->resume();
  EXPECT_EQ(client->handshake_steps, 1);
}

TEST_F(HandshakeTest, MayEndWhileAnOperationIsUnderWay) {
  client->handshakes = {IoStatus::kPaused};
  client->sends(client_hello());
  start();
  permits.grant();
  pass(listener().timeouts.handshake);
  EXPECT_END("handshake_timeout");
  EXPECT_TRUE(client->closed);
  host.operation->perform();
  connection->operation_finished(5ms);
  EXPECT_TRUE(connection->is_buried());
}

TEST_F(HandshakeTest, AsksForHeldBackTicketsToBeFlushedSoon) {
  client->holds_back = true;
  client->sends(client_hello());
  start();
  permits.grant();
  EXPECT_EQ(host.flushes_asked, 1);
}

TEST_F(HandshakeTest, HeldBackTicketsLeaveWithTheFirstAnswer) {
  client->holds_back = true;
  start_relay();
  server->sends("answer");
  wake();
  EXPECT_FALSE(client->holds_back);
  EXPECT_EQ(client->written, "answer");
}

TEST_F(HandshakeTest, APassthroughRouteGetsTheHelloUnread) {
  auto& route = listener().routes.emplace_back();
  route.sni = {"raw.example.com"};
  route.passthrough = true;
  route.backend = "app";
  const std::string hello = client_hello("raw.example.com");
  client->sends(hello);
  start();
  wake();
  EXPECT_EQ(phase(), "relay");
  EXPECT_EQ(server->written, hello);
  EXPECT_EQ(client->handshake_steps, 0);
  EXPECT_TRUE(handshakes.script.received.empty());
}

TEST_F(HandshakeTest, AnIdentityThatMayNotPassIsToldSoByAnAlert) {
  listener().tls->client_auth.mode = config::ClientAuthMode::kRequired;
  listener().tls->client_auth.ca = listener().tls->certificates.front().certificate;
  client->sends(client_hello());
  start();
  permits.grant();
  EXPECT_EQ(client->alert, static_cast<int>(Alert::kAccessDenied));
  EXPECT_FALSE(client->reset);
  EXPECT_TRUE(transport.dialled.empty());
  client->leaves();
  wake();
  EXPECT_END("client_not_allowed");
}

TEST_F(HandshakeTest, TellsTheWorkerThatTheClientIsLetIn) {
  handshakes.script.peer = std::make_unique<PeerIdentity>();
  start_relay();
  EXPECT_EQ(host.clients_let_in, 1);
}

TEST_F(HandshakeTest, TellsTheWorkerThatAClientWithoutACertificateIsLetIn) {
  start_relay();
  EXPECT_EQ(host.clients_let_in, 1);
}

}  // namespace
}  // namespace headgate::test
