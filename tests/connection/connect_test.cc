#include "connection/fixture.h"

namespace headgate::test {
namespace {

class ConnectTest : public RelayTest {
 protected:
  std::shared_ptr<Script> second = std::make_shared<Script>();
};

TEST_F(ConnectTest, WaitsUntilTheServerIsThere) {
  server->handshakes = {IoStatus::kWantWrite, IoStatus::kDone};
  start();
  EXPECT_EQ(phase(), "connect");
  EXPECT_EQ(connection->waiting().backend, Interest::kWrite);
  wake();
  EXPECT_EQ(phase(), "relay");
  EXPECT_EQ(connection->info().server.view(), transport.dialled.front());
}

TEST_F(ConnectTest, TriesTheNextServerWhenOneRefuses) {
  server->handshakes = {IoStatus::kFailed};
  server->failure = {.kind = FailureKind::kSystem, .alert = -1, .what = "refused", .error = ECONNREFUSED};
  transport.servers.push_back(second);
  start();
  EXPECT_EQ(phase(), "relay");
  EXPECT_THAT(transport.dialled, testing::UnorderedElementsAre("127.0.0.1:1001", "127.0.0.1:1002"));
  EXPECT_EQ(connection->info().server.view(), transport.dialled.back());
  EXPECT_EQ(connection->info().detail.view(), "");
  EXPECT_TRUE(server->closed);
}

TEST_F(ConnectTest, TriesTheNextServerWhenOneCannotEvenBeDialled) {
  transport.servers = {nullptr, second};
  start();
  EXPECT_EQ(phase(), "relay");
}

TEST_F(ConnectTest, TriesTheNextServerAfterConnectTimeout) {
  app().connect_timeout = 2s;
  server->handshakes = {IoStatus::kWantWrite, IoStatus::kWantWrite};
  transport.servers.push_back(second);
  start();
  pass(2s - 1ms);
  EXPECT_EQ(phase(), "connect");
  pass(1ms);
  EXPECT_EQ(phase(), "relay");
  EXPECT_EQ(transport.dialled.size(), 2U);
}

TEST_F(ConnectTest, GivesUpAfterAsManyAttemptsAsConfigured) {
  transport.servers.clear();
  start();
  EXPECT_EQ(transport.dialled.size(), 2U);
  EXPECT_END("backend_connect_failed");
}

TEST_F(ConnectTest, NamesTheTimeoutWhenTheLastServerDoesNotAnswer) {
  app().connect_attempts = 1;
  server->handshakes = {IoStatus::kWantWrite};
  start();
  pass(app().connect_timeout);
  EXPECT_THAT(std::string(connection->info().detail.view()),
              testing::StartsWith(transport.dialled.front() + ": "));
  EXPECT_END("backend_connect_timeout");
}

TEST_F(ConnectTest, HasNoBackendWhenEveryServerIsFull) {
  app().servers.resize(1);
  app().servers[0].max_connections = 1;
  start();
  const auto first = std::move(connection);
  auto& picker = *const_cast<WorkerSnapshot&>(first->snapshot()).backends.at("app").picker;
  EXPECT_EQ(picker.pick(Address::loopback(1), {}, host.now()).error(), NoServer::kAllFull);
}

TEST_F(ConnectTest, HasNoBackendWhileNoNameIsResolved) {
  app().servers.resize(1);
  app().servers[0].address = "not-resolved.example:80";
  start();
  EXPECT_EQ(connection->info().detail.view(), "unresolved");
  EXPECT_END("no_backend");
}

TEST_F(ConnectTest, HasNoRouteWhereNothingMatchesAndThereIsNoBackendOfItsOwn) {
  listener().backend.clear();
  start();
  EXPECT_TRUE(transport.dialled.empty());
  EXPECT_END("no_route");
}

TEST_F(ConnectTest, TellsTheServerWhoTheClientIsBeforeAnythingElse) {
  app().send_proxy = config::SendProxy::kV1;
  client->sends("question");
  start();
  wake();
  EXPECT_THAT(server->written, testing::StartsWith("PROXY "));
  EXPECT_THAT(server->written, testing::EndsWith("\r\nquestion"));
}

TEST_F(ConnectTest, SecuresTheConnectionWhereTheBackendHasTls) {
  app().tls.emplace().verify = false;
  server->handshakes = {IoStatus::kDone, IoStatus::kWantRead, IoStatus::kDone};
  start();
  EXPECT_EQ(phase(), "connect");
  EXPECT_EQ(handshakes.script.secured, 0) << "a handshake with a server is paid for as well";
  permits.grant();
  EXPECT_EQ(handshakes.script.secured, 1);
  EXPECT_EQ(connection->waiting().backend, Interest::kRead);
  server->sends("hello");
  wake();
  EXPECT_EQ(phase(), "relay");
}

TEST_F(ConnectTest, NamesAFailedHandshakeWithTheServer) {
  app().tls.emplace().verify = false;
  app().connect_attempts = 1;
  server->handshakes = {IoStatus::kDone, IoStatus::kFailed};
  start();
  permits.grant();
  EXPECT_END("backend_handshake_failed");
}

TEST_F(ConnectTest, BeginsTlsWhenTheIntroductionHasLeft) {
  app().tls.emplace().verify = false;
  app().send_proxy = config::SendProxy::kV1;
  server->writes = {IoStatus::kWantWrite};
  server->flushes = {IoStatus::kWantWrite, IoStatus::kDone};
  start();
  EXPECT_EQ(permits.waiting, nullptr);
  EXPECT_EQ(connection->waiting().backend, Interest::kWrite);
  wake();
  ASSERT_NE(permits.waiting, nullptr);
  permits.grant();
  EXPECT_EQ(handshakes.script.secured, 1);
  EXPECT_THAT(server->written, testing::StartsWith("PROXY "));
}

/// A backend that wants a certificate of us, whose key is used on another thread.
class SignatureTest : public ConnectTest {
 protected:
  SignatureTest() {
    app().tls.emplace().verify = false;
    server->handshakes = {IoStatus::kDone, IoStatus::kPaused, IoStatus::kDone};
  }
};

TEST_F(SignatureTest, NeedsAPermitOfItsOwnAndThenTheOtherThread) {
  start();
  permits.grant();
  ASSERT_NE(permits.waiting, nullptr);
  EXPECT_TRUE(permits.waiting->cost.offloaded);
  EXPECT_EQ(host.operation, nullptr);
  permits.grant();
  ASSERT_NE(host.operation, nullptr);
  EXPECT_EQ(phase(), "connect");
  host.operation->perform();
  connection->operation_finished(1ms);
  EXPECT_EQ(phase(), "relay");
}

TEST_F(SignatureTest, SendsTheRestOfTheFlightWhileThePermitAndTheOperationAreAwaited) {
  server->flushes = {IoStatus::kDone, IoStatus::kWantWrite, IoStatus::kWantWrite, IoStatus::kDone};
  start();
  server->kept = "our certificate";
  permits.grant();
  ASSERT_NE(permits.waiting, nullptr);
  EXPECT_EQ(connection->waiting().backend, Interest::kWrite);
  wake();
  EXPECT_EQ(connection->waiting().backend, Interest::kWrite);
  permits.grant();
  ASSERT_NE(host.operation, nullptr);
  EXPECT_EQ(connection->waiting().backend, Interest::kWrite);
  connection->resume();
  EXPECT_EQ(connection->waiting().backend, Interest::kWrite) << "whatever woke the connection";
  wake();
  EXPECT_EQ(server->written, "our certificate");
  EXPECT_EQ(connection->waiting().backend, Interest::kNone);
  EXPECT_EQ(phase(), "connect");
}

TEST_F(SignatureTest, TriesAnotherServerWhenTheRestOfTheFlightCannotBeSent) {
  server->flushes = {IoStatus::kDone, IoStatus::kFailed};
  transport.servers.push_back(nullptr);
  start();
  server->kept = "our certificate";
  permits.grant();
  wake();
  EXPECT_EQ(permits.waiting, nullptr);
  EXPECT_EQ(transport.dialled.size(), 2U);
  EXPECT_END("backend_connect_failed");
}

TEST_F(SignatureTest, TakesNoStepBeforeTheOperationIsFinished) {
  start();
  permits.grant();
  permits.grant();
  const int steps = server->handshake_steps;
  connection->operation_finished(1ms);  // of an earlier attempt
  EXPECT_EQ(server->handshake_steps, steps);
  EXPECT_EQ(phase(), "connect");
}

TEST_F(ConnectTest, TheTimeInTheQueueDoesNotCountAgainstTheServer) {
  app().tls.emplace().verify = false;
  app().connect_timeout = 2s;
  server->handshakes = {IoStatus::kDone, IoStatus::kWantRead, IoStatus::kDone};
  start();
  pass(10s);
  ASSERT_NE(permits.waiting, nullptr) << "it still waits for its permit";
  permits.grant();
  pass(2s - 1ms);
  EXPECT_EQ(phase(), "connect");
  EXPECT_EQ(transport.dialled.size(), 1U);
  pass(1ms);
  EXPECT_EQ(transport.dialled.size(), 2U) << "now it is the server's time that is over";
}

TEST_F(ConnectTest, IsShedWhenThereIsNoCpuTimeForTheHandshakeWithTheServer) {
  app().tls.emplace().verify = false;
  start();
  ASSERT_NE(permits.waiting, nullptr);
  std::exchange(permits.waiting, nullptr)->owner->permit_refused();
  EXPECT_EQ(connection->info().detail.view(), "Headgate had no CPU time for TLS to the backend within 1.5 s");
  EXPECT_END("handshake_shed");
}

TEST_F(ConnectTest, LeavesTheQueueWhenTheConnectionEnds) {
  app().tls.emplace().verify = false;
  start();
  ASSERT_NE(permits.waiting, nullptr);
  connection->end(CloseReason::kCut);
  EXPECT_EQ(permits.waiting, nullptr);
}

TEST_F(ConnectTest, CountsEachFailedAttempt) {
  transport.servers.clear();
  start();
  const auto refused = static_cast<std::size_t>(ConnectFailure::kRefused);
  EXPECT_EQ(metrics.server(0, "app", "127.0.0.1:1001").connect_failures[refused].value(), 1U);
  EXPECT_EQ(metrics.server(0, "app", "127.0.0.1:1002").connect_failures[refused].value(), 1U);
}

}  // namespace
}  // namespace headgate::test
