#include "connection/fixture.h"

namespace headgate::test {
namespace {

/// A listener that knows the source as a proxy.
class ProxyInTest : public ConnectionTest {
 protected:
  ProxyInTest() { listener().proxy_protocol.emplace().from.push_back(*Network::parse("192.0.2.0/24")); }
};

using AcceptTest = ConnectionTest;

TEST_F(AcceptTest, RefusesADeniedSourceWithoutReadingAByte) {
  listener().deny.push_back(*Network::parse("192.0.2.7"));
  client->sends(client_hello());
  start();
  EXPECT_EQ(client->bytes_read, 0U);
  EXPECT_END("source_denied");
}

TEST_F(AcceptTest, RefusesWhatIsOverTheListenersLimit) {
  listener().limits.max_connections = 1;
  start();
  const auto first = std::move(connection);
  const auto counters = first->listener().policy->counters;
  const SourceNetwork another = 1;
  EXPECT_EQ(counters->enter(listener().limits, another), CloseReason::kConnectionLimit);
}

TEST_F(AcceptTest, KeepsItsPlaceUntilItIsGone) {
  listener().limits.max_connections_per_source = 1;
  start();
  const auto counters = connection->listener().policy->counters;
  const SourceNetwork source_network = connection->info().client.network();
  EXPECT_EQ(counters->enter(listener().limits, source_network), CloseReason::kSourceLimit);
  connection->end(CloseReason::kCut);
  connection.reset();
  EXPECT_EQ(counters->enter(listener().limits, source_network), std::nullopt);
}

/// A listener with a rate. Its clients send nothing.
class RateTest : public ConnectionTest {
 protected:
  /// Starts connections until one is refused; returns how many were let in.
  int let_in() {
    int count = 0;
    for (start(); !connection->is_buried(); ++count) {
      served.push_back(std::move(connection));
      connection = accept(std::make_shared<Script>(), served.size() + 1);
    }
    return count;
  }
  std::vector<std::unique_ptr<Connection>> served;
};

TEST_F(RateTest, RefusesWhatIsOverTheRateOfTheListener) {
  listener().limits.connection_rate = 1;
  EXPECT_EQ(let_in(), 2) << "a second's worth, and the one that is due now";
  EXPECT_EQ(connection->info().detail.view(), "limits.connection_rate");
  EXPECT_END("connection_limit");
}

TEST_F(RateTest, RefusesWhatIsOverTheRateOfItsSourceAndCountsItForNoOtherRate) {
  listener().limits.connection_rate = 2;
  listener().limits.connection_rate_per_source = 1;
  EXPECT_EQ(let_in(), 2);
  EXPECT_EQ(connection->info().detail.view(), "limits.connection_rate_per_source");
  EXPECT_END("source_limit");
  source = "192.0.2.8:1";
  connection = accept(std::make_shared<Script>(), 10);
  EXPECT_FALSE(connection->is_buried()) << "the listener's rate has room for a third one";
}

/// A listener with penalties.
class PenaltyTest : public ConnectionTest {
 protected:
  PenaltyTest() { listener().limits.penalty = {.failures = 2, .within = 1min, .for_time = 1min}; }
  /// Another client that sends `first` and leaves.
  void comes(const std::string& first) {
    auto script = std::make_shared<Script>();
    if (!first.empty()) script->sends(first);
    script->leaves();
    connection = accept(std::move(script), ++last_id);
    while (!connection->is_buried() && phase() == "shutdown") wake();
  }
  std::uint64_t penalized() { return connection->listener().metrics->sources_penalized.value(); }
  std::uint64_t last_id = 1;
};

TEST_F(PenaltyTest, ASourceWhoseHandshakesFailGetsNoConnectionForAWhile) {
  start();
  for (int i = 0; i < 2; ++i) comes("garbage");
  EXPECT_EQ(penalized(), 1U);
  comes("garbage");
  EXPECT_EQ(name(connection->close_reason()), "source_penalized");
  source = "192.0.2.8:1";
  comes("garbage");
  EXPECT_EQ(name(connection->close_reason()), "not_tls");
  source = "192.0.2.7:2";
  host.time += 1min;
  comes("garbage");
  EXPECT_EQ(name(connection->close_reason()), "not_tls");
  EXPECT_EQ(penalized(), 1U);
}

TEST_F(PenaltyTest, AClientThatLeavesWithoutAByteIsNoFailure) {
  start();
  for (int i = 0; i < 10; ++i) comes("");
  EXPECT_EQ(name(connection->close_reason()), "probe");
  EXPECT_EQ(penalized(), 0U);
}

TEST_F(PenaltyTest, AListedProbeGetsNone) {
  listener().probes.push_back(*Network::parse("192.0.2.7"));
  start();
  for (int i = 0; i < 10; ++i) comes("garbage");
  EXPECT_EQ(name(connection->close_reason()), "not_tls");
}

TEST_F(PenaltyTest, AHandshakeThatSucceedsTakesAFailureBack) {
  start();
  comes("garbage");
  auto good = std::make_shared<Script>();
  good->sends(client_hello());
  connection = accept(good, ++last_id);
  permits.grant();
  EXPECT_EQ(phase(), "relay");
  comes("garbage");
  EXPECT_EQ(penalized(), 0U);
  comes("garbage");
  EXPECT_EQ(penalized(), 1U);
}

// A proxy with spare connections was penalized, and its own connections, its health checks, were refused.
TEST_F(ProxyInTest, AConnectionOfAProxyThatStaysSilentIsNoFailureOfTheProxy) {
  listener().limits.penalty = {.failures = 1, .within = 1min, .for_time = 1min};
  start();
  pass(listener().timeouts.handshake);
  EXPECT_END("handshake_timeout");
  EXPECT_EQ(connection->listener().metrics->sources_penalized.value(), 0U);
}

TEST_F(AcceptTest, OneNetworkOfIpv6IsOneSource) {
  listener().limits.max_connections_per_source = 1;
  source = "[2001:db8::1]:4711";
  start();
  const auto counters = connection->listener().policy->counters;
  const auto network = [](const char* address) { return SourceAddress(*Address::parse(address)).network(); };
  EXPECT_EQ(counters->enter(listener().limits, network("[2001:db8::2]:1")), CloseReason::kSourceLimit);
  EXPECT_EQ(counters->enter(listener().limits, network("[2001:db8:0:1::1]:1")), std::nullopt);
}

TEST_F(AcceptTest, AnAddressAndItsMappedFormAreOneSource) {
  listener().limits.max_connections_per_source = 1;
  source = "[::ffff:192.0.2.7]:4711";
  start();
  const auto counters = connection->listener().policy->counters;
  const SourceAddress plain(*Address::parse("192.0.2.7:1"));
  EXPECT_EQ(counters->enter(listener().limits, plain.network()), CloseReason::kSourceLimit);
}

TEST_F(AcceptTest, CountsWhatAListedProbeDoesAsAProbe) {
  listener().probes.push_back(*Network::parse("192.0.2.7"));
  client->sends("garbage");
  client->leaves();
  start();
  EXPECT_END("not_tls");
  const auto& counted = connection->listener().metrics->handshakes;
  EXPECT_EQ(counted[static_cast<std::size_t>(HandshakeResult::kProbe)][0].value(), 1U);
  EXPECT_EQ(counted[static_cast<std::size_t>(HandshakeResult::kFailed)][0].value(), 0U);
}

TEST_F(ProxyInTest, TakesTheClientsAddressFromTheHeader) {
  client->sends("PROXY TCP4 198.51.100.9 192.0.2.1 5555 443\r\n");
  start();
  EXPECT_EQ(connection->info().client.address().text(), "198.51.100.9:5555");
  EXPECT_EQ(phase(), "hello");
}

TEST_F(ProxyInTest, WhatFollowsTheHeaderInOneReadIsTheHello) {
  const std::string hello = client_hello();
  client->sends("PROXY TCP4 198.51.100.9 192.0.2.1 5555 443\r\n" + hello);
  start();
  EXPECT_EQ(phase(), "handshake");
  EXPECT_EQ(handshakes.script.received, hello);
}

TEST_F(ProxyInTest, WaitsForTheRestOfAHeader) {
  client->sends("PROXY TCP4 198.51.");
  start();
  EXPECT_EQ(phase(), "proxy_in");
  client->sends("100.9 192.0.2.1 5555 443\r\n");
  wake();
  EXPECT_EQ(phase(), "hello");
}

TEST_F(ProxyInTest, RefusesAKnownProxyThatSendsNone) {
  client->sends(client_hello());
  start();
  EXPECT_END("proxy_header_malformed");
}

TEST_F(ProxyInTest, RefusesHalfAHeader) {
  client->sends("PROXY TCP4");
  client->leaves();
  start();
  wake();
  EXPECT_END("proxy_header_malformed");
}

TEST_F(ProxyInTest, AProxysOwnHealthCheckIsAProbe) {
  client->leaves();
  start();
  EXPECT_END("probe");
}

TEST_F(ProxyInTest, JudgesTheAddressInTheHeaderNotTheProxys) {
  listener().deny.push_back(*Network::parse("198.51.100.0/24"));
  client->sends("PROXY TCP4 198.51.100.9 192.0.2.1 5555 443\r\n");
  start();
  EXPECT_END("source_denied");
}

TEST_F(ProxyInTest, BelievesNoHeaderOfAnybodyElse) {
  source = "203.0.113.1:1";
  client->sends("PROXY TCP4 198.51.100.9 192.0.2.1 5555 443\r\n");
  client->leaves();
  start();
  EXPECT_EQ(connection->info().client.address().text(), "203.0.113.1:1");
  EXPECT_END("not_tls");
}

TEST_F(ProxyInTest, PlaintextBehindTheHeaderReachesTheBackend) {
  listener().tls.reset();
  client->sends("PROXY TCP4 198.51.100.9 192.0.2.1 5555 443\r\nquestion");
  start();
  wake();
  EXPECT_EQ(server->written, "question");
}

/// A listener on which PostgreSQL clients ask for TLS first.
class StarttlsInTest : public ConnectionTest {
 protected:
  StarttlsInTest() { listener().starttls = StarttlsProtocol::kPostgres; }
  const std::string request = std::string("\x00\x00\x00\x08\x04\xd2\x16\x2f", 8);
};

TEST_F(StarttlsInTest, AnswersTheRequestThenWaitsForTheHello) {
  client->sends(request);
  start();
  EXPECT_EQ(client->written, "S");
  EXPECT_EQ(phase(), "hello");
}

TEST_F(StarttlsInTest, EndsAClientThatDoesNotAskForTls) {
  client->sends(std::string("\x00\x00\x00\x08\x00\x03\x00\x00", 8));
  client->leaves();
  start();
  EXPECT_END("starttls_not_requested");
  EXPECT_NE(connection->info().detail.view().find("sslmode"), std::string_view::npos);
}

TEST_F(StarttlsInTest, ACancelRequestGoesToEveryServerAndIsNoFailure) {
  const std::string cancel("\x00\x00\x00\x10\x04\xD2\x16\x2E\x00\x00\x00\x01\x00\x00\x00\x02", 16);
  const auto second = std::make_shared<Script>();
  transport.servers.push_back(second);
  for (const auto& one : {server, second}) one->leaves();
  client->sends(cancel);
  client->leaves();
  start();
  EXPECT_EQ(server->written, cancel);
  EXPECT_EQ(second->written, cancel);
  EXPECT_EQ(client->written, "");
  EXPECT_END("finished");
}

TEST_F(StarttlsInTest, ACancelRequestInPlaintextGoesNowhereWhereClientsNeedACertificate) {
  config::ClientAuth& rules =
      listener().tls->client_auth_by_name.emplace_back(config::NamedClientAuth{}).rules;
  rules.mode = config::ClientAuthMode::kRequired;
  rules.ca = listener().tls->certificates.front().certificate;
  listener().tls->client_auth_by_name.front().sni = {"admin.example.com"};
  client->sends(std::string("\x00\x00\x00\x10\x04\xD2\x16\x2E\x00\x00\x00\x01\x00\x00\x00\x02", 16));
  client->leaves();
  start();
  EXPECT_TRUE(transport.dialled.empty());
  EXPECT_END("starttls_ended");
}

TEST_F(StarttlsInTest, AClientThatLeavesWithoutAByteIsAProbe) {
  client->leaves();
  start();
  EXPECT_END("probe");
}

TEST_F(StarttlsInTest, AClientThatLeavesInTheDialogueIsNamedSo) {
  client->sends(request.substr(0, 3));
  client->leaves();
  start();
  EXPECT_END("client_left_in_handshake");
}

// A flush that fails leaves its bytes unsent, and the broken descriptor stays writable: a wait for it would
// spin.
TEST_F(StarttlsInTest, EndsWhenTheGreetingCannotBeSent) {
  listener().starttls = StarttlsProtocol::kSmtp;
  client->writes = {IoStatus::kWantWrite};
  client->flushes = {IoStatus::kWantWrite, IoStatus::kFailed};
  client->failure.kind = FailureKind::kReset;
  start();
  EXPECT_EQ(connection->waiting().client, Interest::kWrite);
  wake();
  EXPECT_END("client_left_in_handshake");
}

}  // namespace
}  // namespace headgate::test
