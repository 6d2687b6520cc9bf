#include "connection/fixture.h"

namespace headgate::test {
namespace {

std::string mysql_packet(int number, const std::string& payload) {
  const std::size_t size = payload.size();
  return std::string{static_cast<char>(size), static_cast<char>(size >> 8), static_cast<char>(size >> 16),
                     static_cast<char>(number)} +
         payload;
}

std::string zeros(std::size_t count) {
  return std::string(count, '\0');
}

/// The greeting of a server that offers TLS: protocol 4.1, and TLS's bit.
std::string mysql_greeting() {
  return mysql_packet(0, "\x0A" + std::string("8.0") + zeros(1 + 4 + 8 + 1) + zeros(1) + "\x0A" + zeros(20));
}

/// A client's answer without TLS: what a request for TLS has, and the rest of the login.
std::string mysql_login(std::size_t rest_bytes) {
  return mysql_packet(1, zeros(1) + "\x02" + zeros(30) + std::string(rest_bytes, 'n'));
}

/// A server of MySQL that is asked for TLS, behind a listener without TLS.
class MysqlDialTest : public RelayTest {
 protected:
  MysqlDialTest() {
    app().tls.emplace().verify = false;
    app().tls->starttls = StarttlsProtocol::kMysql;
    app().servers.resize(1);
  }

  /// Everything up to the place where the client has been greeted.
  void start_and_greet() {
    start();
    server->sends(mysql_greeting());
    wake();
    ASSERT_FALSE(client->written.empty()) << "the client has its greeting";
  }

  /// The connection is in the middle of the login.
  void start_login() {
    start_and_greet();
    client->sends(mysql_login(8));
    wake();
    ASSERT_NE(permits.waiting, nullptr);
    permits.grant();
    ASSERT_EQ(handshakes.script.secured, 1);
    ASSERT_EQ(phase(), "connect");
  }
};

TEST_F(MysqlDialTest, KeepsNoMoreOfALoginThanTheRequestNeeds) {
  start_and_greet();
  const std::string login = mysql_login(2 * kMaxWriteBytes);
  client->sends(login.substr(0, 35));
  wake();
  client->sends(login.substr(35));
  wake();
  EXPECT_EQ(client->bytes_read, 36U);
  ASSERT_NE(permits.waiting, nullptr);
  permits.grant();
  for (int turn = 0; turn < 5; ++turn) connection->resume();
  EXPECT_EQ(client->bytes_read, login.size());
  ASSERT_EQ(server->written.size(), 36 + login.size()) << "the request for TLS, then the login";
  EXPECT_EQ(server->written.substr(36 + 36), login.substr(36));
}

/// A server gives its client only so long to log in. A slow client must not make servers look broken.
TEST_F(MysqlDialTest, DoesNotHoldItAgainstAServerThatItDidNotWaitForTheClient) {
  app().ejection.failures = 1;
  const std::string error = mysql_packet(1, "\xFF\x08\x04#08S01Got timeout\nreading");
  for (const bool says_so : {true, false}) {
    client = std::make_shared<Script>();
    transport.servers = {server = std::make_shared<Script>()};
    host.buried = 0;
    start_and_greet();
    if (says_so) {
      server->sends(error);
    } else {
      server->leaves();
    }
    client->sends(mysql_login(8));
    wake();
    ASSERT_TRUE(connection->is_buried() || phase() == "shutdown") << phase();
    EXPECT_EQ(name(connection->close_reason()), "backend_starttls_failed");
    EXPECT_THAT(std::string(connection->info().detail.view()),
                testing::HasSubstr("the server did not wait for the client's login"));
    const BackendState& state = connection->snapshot().backends.at("app");
    EXPECT_EQ(state.picker->counters(0).failures_in_row, 0);
    EXPECT_EQ(state.picker->counters(0).ejected_until, TimePoint{});
    EXPECT_EQ(handshakes.script.secured, 0);
  }
}

TEST_F(MysqlDialTest, RefusesPlaintextBehindTheGreetingThatComesLate) {
  app().connect_attempts = 1;
  start_and_greet();
  server->sends(mysql_packet(2, zeros(7)));
  client->sends(mysql_login(8));
  wake();
  EXPECT_EQ(handshakes.script.secured, 0);
  EXPECT_EQ(name(connection->close_reason()), "backend_plaintext");
}

TEST_F(MysqlDialTest, NamesTheSideThatBreaksOffInTheLoginWhileTheOtherSends) {
  start_login();
  client->failure = {
      .kind = FailureKind::kReset, .alert = -1, .what = "the client is gone", .error = ECONNRESET};
  client->writes = {IoStatus::kFailed};
  server->sends(mysql_packet(3,
                             "\x01"
                             "more"));
  wake();
  EXPECT_EQ(name(connection->close_reason()), "client_left_in_handshake");
  EXPECT_EQ(connection->info().detail.view(), "the client is gone");
}

TEST_F(MysqlDialTest, NamesTheSideThatBreaksOffInTheLoginWithBytesUnsent) {
  start_login();
  server->failure = {
      .kind = FailureKind::kReset, .alert = -1, .what = "the server is gone", .error = ECONNRESET};
  server->writes = {IoStatus::kWantWrite};
  server->flushes = {IoStatus::kFailed};
  client->sends("more of the login");
  wake();
  wake();
  EXPECT_EQ(name(connection->close_reason()), "backend_reset");
  EXPECT_EQ(connection->info().detail.view(), "the server is gone");
}

TEST_F(MysqlDialTest, ALoginHasNoLongerThanTheLifetime) {
  listener().timeouts.idle = 1min;
  listener().timeouts.lifetime = 90s;
  start_login();
  pass(50s);
  server->sends(mysql_packet(3,
                             "\x01"
                             "more"));
  wake();
  pass(39s);
  EXPECT_EQ(phase(), "connect");
  pass(1s);
  EXPECT_EQ(name(connection->close_reason()), "lifetime");
}

/// A listener with TLS under STARTTLS, whose clients wait for a server and its greeting first.
class AwaitedMysqlTest : public ConnectionTest {
 protected:
  AwaitedMysqlTest() {
    listener().starttls = StarttlsProtocol::kMysql;
    listener().limits.penalty = {.failures = 1, .within = 1min, .for_time = 1min};
    app().tls.emplace().verify = false;
    app().tls->starttls = StarttlsProtocol::kMysql;
    app().servers.resize(1);
    app().connect_timeout = 1min;
  }
  void expect_no_penalty() {
    const auto network = connection->info().client.network();
    EXPECT_FALSE(connection->listener().policy->penalties->is_penalized(network, host.now()));
  }
};

// The clients of a backend that was full for as long as timeouts.handshake were penalized for it.
TEST_F(AwaitedMysqlTest, AClientThatWaitsForAPlaceInVainIsToldSoAndHasNotFailed) {
  app().servers[0].max_connections = 1;
  app().queue = {.size = 1, .timeout = 1min};
  start();
  const auto first = std::move(connection);
  connection = accept(client = std::make_shared<Script>(), 2);
  pass(listener().timeouts.handshake);
  ASSERT_EQ(phase(), "shutdown");
  pass(listener().timeouts.shutdown);
  EXPECT_EQ(name(connection->close_reason()), "no_backend");
  EXPECT_EQ(connection->info().detail.view(), "queue_timeout");
  EXPECT_FALSE(client->written.empty());
  EXPECT_EQ(metrics.backend(0, "app").queue_ends[static_cast<std::size_t>(QueueEnd::kTimeout)].value(), 1U);
  expect_no_penalty();
}

TEST_F(AwaitedMysqlTest, AClientWhoseServerDoesNotAnswerHasNotFailed) {
  server->handshakes = {IoStatus::kWantWrite};
  start();
  pass(listener().timeouts.handshake);
  EXPECT_END("backend_connect_timeout");
  expect_no_penalty();
}

TEST_F(AwaitedMysqlTest, AClientThatLeavesBeforeItsGreetingHasNotFailed) {
  start();
  client->writes = {IoStatus::kFailed};
  server->sends(mysql_greeting());
  wake();
  EXPECT_END("probe");
  expect_no_penalty();
}

TEST_F(AwaitedMysqlTest, AClientThatDoesNotAnswerTheGreetingHasFailed) {
  start();
  server->sends(mysql_greeting());
  wake();
  pass(listener().timeouts.handshake);
  EXPECT_END("handshake_timeout");
  const auto network = connection->info().client.network();
  EXPECT_TRUE(connection->listener().policy->penalties->is_penalized(network, host.now()));
}

}  // namespace
}  // namespace headgate::test
