#include "connection/fixture.h"

namespace headgate::test {
namespace {

class ConnectTest : public RelayTest {
 protected:
  /// The backend has one server, `localhost`, which has these addresses.
  void have_one_server_at(const std::vector<std::string>& texts) {
    app().servers.resize(1);
    app().servers[0].address = "localhost:1001";
    ServerState::Addresses addresses;
    for (const std::string& text : texts) addresses.emplace_back(Address::parse(text).value());
    resolve("localhost:1001", addresses);
  }
  [[nodiscard]] BackendState& backend() const {
    return const_cast<WorkerSnapshot&>(connection->snapshot()).backends.at("app");
  }
  /// These two are of the first server.
  [[nodiscard]] int failures_in_row() const { return backend().picker->counters(0).failures_in_row; }
  [[nodiscard]] std::uint64_t connect_failures(ConnectFailure reason) const {
    return backend().metrics[0]->connect_failures[static_cast<std::size_t>(reason)].value();
  }

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

// Two servers on `localhost`, which listen on 127.0.0.1 alone: ::1 refuses both.
TEST_F(ConnectTest, GoesOnWithTheOtherFamilyInTheSameAttempt) {
  app().connect_attempts = 1;
  have_one_server_at({"[::1]:1001", "127.0.0.1:1001"});
  server->handshakes = {IoStatus::kFailed};
  server->failure = {.kind = FailureKind::kSystem, .alert = -1, .what = "refused", .error = ECONNREFUSED};
  transport.servers.push_back(second);
  start();
  EXPECT_EQ(phase(), "relay");
  EXPECT_THAT(transport.dialled, testing::UnorderedElementsAre("[::1]:1001", "127.0.0.1:1001"));
  EXPECT_EQ(connect_failures(ConnectFailure::kRefused), 1U);
}

TEST_F(ConnectTest, AServerWhoseFamiliesBothRefuseHasFailedOnce) {
  app().connect_attempts = 1;
  app().ejection.failures = 2;
  have_one_server_at({"[::1]:1001", "127.0.0.1:1001", "127.0.0.2:1001"});
  transport.servers.clear();
  start();
  EXPECT_EQ(transport.dialled.size(), 2U);
  EXPECT_EQ(failures_in_row(), 1);
  EXPECT_END("backend_connect_failed");
}

TEST_F(ConnectTest, AnAddressThatDoesNotAnswerIsAWholeAttempt) {
  app().connect_attempts = 1;
  have_one_server_at({"[::1]:1001", "127.0.0.1:1001"});
  server->handshakes = {IoStatus::kWantWrite};
  start();
  pass(app().connect_timeout);
  EXPECT_EQ(transport.dialled.size(), 1U);
  EXPECT_END("backend_connect_timeout");
}

TEST_F(ConnectTest, AShortageOfOurOwnIsNoFailureOfTheServer) {
  app().servers.resize(1);
  std::uint64_t shortages = 0;
  for (const int error : {EMFILE, ENFILE, ENOBUFS, ENOMEM, EADDRNOTAVAIL}) {
    transport.failure = error;
    transport.servers = {nullptr};
    start();
    EXPECT_EQ(connection->close_reason(), CloseReason::kBackendConnectFailed);
    EXPECT_EQ(failures_in_row(), 0) << error;
    EXPECT_EQ(connect_failures(ConnectFailure::kShortage), ++shortages);
  }
  transport.failure = ECONNREFUSED;
  transport.servers = {nullptr};
  start();
  EXPECT_EQ(failures_in_row(), 1);
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

TEST_F(ConnectTest, ConnectsFromTheAddressOfTheBackendsSource) {
  app().source = "192.0.2.99";
  start();
  EXPECT_EQ(phase(), "relay");
  EXPECT_EQ(transport.dialled_from.front().address->host_text(), "192.0.2.99");
  EXPECT_FALSE(transport.dialled_from.front().foreign);
}

TEST_F(ConnectTest, ConnectsFromTheAddressOfTheClientAsIpv4WhereItIsMapped) {
  app().source = "client";
  source = "[::ffff:192.0.2.7]:4711";
  start();
  EXPECT_EQ(phase(), "relay");
  const OwnEnd& own = transport.dialled_from.front();
  EXPECT_EQ(own.address->family(), AF_INET);
  EXPECT_EQ(own.address->host_text(), "192.0.2.7");
  EXPECT_TRUE(own.foreign);
}

TEST_F(ConnectTest, PassesOverServersOfAnotherFamilyThanTheClientWhoseAddressItNeeds) {
  app().source = "client";
  app().servers[0].address = "[::1]:1001";
  start();
  EXPECT_EQ(phase(), "relay");
  EXPECT_THAT(transport.dialled, testing::ElementsAre("127.0.0.1:1002"));
}

TEST_F(ConnectTest, HasNoBackendForAClientOfAFamilyThatNoServerHas) {
  app().source = "client";
  source = "[2001:db8::7]:4711";
  start();
  EXPECT_TRUE(transport.dialled.empty());
  EXPECT_THAT(std::string(connection->info().detail.view()),
              testing::HasSubstr("no connection goes from the IPv6 address 2001:db8::7 to 127.0.0.1:100"));
  EXPECT_END("no_backend");
}

TEST_F(ConnectTest, HasNoBackendWhenEveryServerIsFull) {
  app().servers.resize(1);
  app().servers[0].max_connections = 1;
  start();
  const auto first = std::move(connection);
  auto& picker = *const_cast<WorkerSnapshot&>(first->snapshot()).backends.at("app").picker;
  EXPECT_EQ(picker.pick(Address::loopback(1), {}, host.now()).error(), NoServer::kAllFull);
}

TEST_F(ConnectTest, ASpareConnectionTakesThePlaceOfTheConnect) {
  app().preconnect = 1;
  spares.ready.push_back(second);
  client->sends("question");
  start();
  EXPECT_EQ(phase(), "relay");
  wake();
  EXPECT_EQ(second->written, "question");
  EXPECT_TRUE(transport.dialled.empty());
}

TEST_F(ConnectTest, ASpareConnectionBeginsWithThePROXYHeaderAndTls) {
  app().send_proxy = config::SendProxy::kV1;
  app().tls.emplace().verify = false;
  spares.ready.push_back(second);
  start();
  EXPECT_THAT(second->written, testing::StartsWith("PROXY "));
  permits.grant();
  EXPECT_EQ(phase(), "relay");
  EXPECT_EQ(handshakes.script.secured, 1);
}

TEST_F(ConnectTest, ASpareConnectionThatTurnsOutToBeDeadIsNoFailedAttempt) {
  app().connect_attempts = 1;
  app().tls.emplace().verify = false;
  second->handshakes = {IoStatus::kDone, IoStatus::kFailed};
  second->failure = {.kind = FailureKind::kReset, .alert = -1, .what = "reset", .error = ECONNRESET};
  spares.ready.push_back(second);
  start();
  permits.grant();
  EXPECT_TRUE(second->closed);
  EXPECT_EQ(transport.dialled.size(), 1U);
  permits.grant();
  EXPECT_EQ(phase(), "relay");
  EXPECT_EQ(connection->info().server.view(), transport.dialled.front()) << "the same server";
  for (const auto& entry : metrics.servers()) {
    for (const Counter& failures : entry.metrics->connect_failures) EXPECT_EQ(failures.value(), 0U);
  }
}

TEST_F(ConnectTest, TheConnectInPlaceOfADeadSpareCountsAsAnyOther) {
  app().connect_attempts = 1;
  app().send_proxy = config::SendProxy::kV1;
  second->writes = {IoStatus::kFailed};
  second->flushes = {IoStatus::kFailed};
  second->failure = {.kind = FailureKind::kReset, .alert = -1, .what = "reset", .error = ECONNRESET};
  transport.servers = {nullptr};
  spares.ready.push_back(second);
  start();
  EXPECT_END("backend_connect_failed");
}

TEST_F(ConnectTest, AServerThatIsSilentOnASpareConnectionHasFailed) {
  app().connect_attempts = 1;
  app().tls.emplace().verify = false;
  second->handshakes = {IoStatus::kDone, IoStatus::kWantRead, IoStatus::kWantRead};
  spares.ready.push_back(second);
  start();
  permits.grant();
  pass(app().connect_timeout);
  EXPECT_TRUE(transport.dialled.empty());
  EXPECT_END("backend_connect_timeout");
}

TEST_F(ConnectTest, GivesUpSpareConnectionsWhereDescriptorsHaveRunOut) {
  transport.failure = EMFILE;
  transport.servers = {nullptr, second};
  spares.to_give_up = true;
  start();
  EXPECT_EQ(phase(), "relay");
  EXPECT_EQ(spares.given_up, 1);
  EXPECT_EQ(transport.dialled.size(), 2U);
  EXPECT_EQ(transport.dialled.front(), transport.dialled.back()) << "no attempt has failed";
}

/// One server with one place, and a queue for two connections.
class QueueTest : public ConnectTest {
 protected:
  QueueTest() {
    app().servers.resize(1);
    app().servers[0].max_connections = 1;
    app().queue = {.size = 2, .timeout = 3s};
    for (int i = 0; i < 4; ++i) transport.servers.push_back(std::make_shared<Script>());
  }

  /// Accepts the connection that takes the place, and then `count` others.
  void accept_all(int count) {
    start();
    for (int i = 0; i < count; ++i)
      others.push_back(accept(std::make_shared<Script>(), static_cast<std::uint64_t>(i + 2)));
  }
  static std::string phase_of(const Connection& one) { return std::string(name(one.phase())); }
  /// Ends the connection that has the place, as its worker does.
  void end_first() {
    connection->end(CloseReason::kDrained);
    connection.reset();
  }
  void step_the_woken() {
    for (Connection* one : std::exchange(host.woken, {})) one->resume();
  }
  std::uint64_t ended(QueueEnd how) {
    return metrics.backend(0, "app").queue_ends[static_cast<std::size_t>(how)].value();
  }
  std::uint64_t queued() { return metrics.backend(0, "app").queued.value(); }

  std::vector<std::unique_ptr<Connection>> others;
};

TEST_F(QueueTest, AConnectionWaitsForAPlaceWhenEveryServerIsFull) {
  accept_all(1);
  EXPECT_EQ(phase(), "relay");
  EXPECT_EQ(phase_of(*others[0]), "connect");
  EXPECT_EQ(queued(), 1U);
  end_first();
  EXPECT_EQ(host.woken, std::vector<Connection*>{others[0].get()});
  step_the_woken();
  EXPECT_EQ(phase_of(*others[0]), "relay");
  EXPECT_EQ(queued(), 0U);
  EXPECT_EQ(ended(QueueEnd::kServed), 1U);
  EXPECT_TRUE(host.with_waker.empty());
}

TEST_F(QueueTest, AConnectionThatWouldBeOneTooManyEndsAtOnce) {
  accept_all(3);
  EXPECT_EQ(phase_of(*others[1]), "connect");
  ASSERT_TRUE(others[2]->is_buried());
  EXPECT_EQ(others[2]->close_reason(), CloseReason::kNoBackend);
  EXPECT_EQ(others[2]->info().detail.view(), "queue_full");
  EXPECT_EQ(ended(QueueEnd::kFull), 1U);
}

TEST_F(QueueTest, AConnectionEndsWhenItsTimeIsOver) {
  accept_all(1);
  host.time += 3s - 1ms;
  others[0]->deadline_passed();
  EXPECT_EQ(phase_of(*others[0]), "connect");
  host.time += 1ms;
  others[0]->deadline_passed();
  ASSERT_TRUE(others[0]->is_buried());
  EXPECT_EQ(others[0]->close_reason(), CloseReason::kNoBackend);
  EXPECT_EQ(others[0]->info().detail.view(), "queue_timeout");
  EXPECT_EQ(ended(QueueEnd::kTimeout), 1U);
  EXPECT_EQ(queued(), 0U);
}

TEST_F(QueueTest, ANewConnectionDoesNotOvertakeThoseThatWait) {
  accept_all(1);
  end_first();
  others.push_back(accept(std::make_shared<Script>(), 9));
  EXPECT_EQ(phase_of(*others[1]), "connect") << "the place is for the one that waits already";
  step_the_woken();
  EXPECT_EQ(phase_of(*others[0]), "relay");
  EXPECT_EQ(phase_of(*others[1]), "connect");
}

TEST_F(QueueTest, AConnectionThatEndsMeanwhileLeavesItsTurnToTheNext) {
  accept_all(2);
  end_first();
  others[0]->end(CloseReason::kDrained);
  EXPECT_EQ(ended(QueueEnd::kLeft), 1U);
  step_the_woken();
  EXPECT_EQ(phase_of(*others[1]), "relay");
}

TEST_F(QueueTest, TheTimeInTheQueueIsNotTheServers) {
  app().connect_timeout = 1s;
  accept_all(1);
  transport.servers.front()->handshakes = {IoStatus::kWantWrite, IoStatus::kWantWrite};
  host.time += 2s;
  end_first();
  step_the_woken();
  host.time += 1s - 1ms;
  others[0]->deadline_passed();
  EXPECT_FALSE(others[0]->is_buried());
  EXPECT_EQ(metrics.backend(0, "app").queue_duration.sum(), 2'000'000U);
}

// One dead server in a backend made the queue for all others useless.
TEST_F(QueueTest, AConnectionThatOneServerRefusesWaitsForTheOthersThatAreFull) {
  app().servers.push_back(app().servers[0]);
  app().servers[1].address = "127.0.0.1:1002";
  start();
  transport.servers.push_front(nullptr);
  others.push_back(accept(std::make_shared<Script>(), 2));
  EXPECT_EQ(transport.dialled.size(), 2U);
  EXPECT_EQ(phase_of(*others[0]), "connect");
  EXPECT_EQ(queued(), 1U);
  end_first();
  step_the_woken();
  EXPECT_EQ(phase_of(*others[0]), "relay");
}

TEST_F(QueueTest, AServerThatIsDownEndsTheWait) {
  accept_all(1);
  connection->snapshot().shared->backends.at("app").group->servers[0].state->set_condition({.up = false});
  end_first();
  step_the_woken();
  EXPECT_EQ(others[0]->info().detail.view(), "all_down");
}

/// A server with two places and no queue: a connection has one place, a spare of another worker the other
/// one.
class SparePlaceTest : public QueueTest {
 protected:
  SparePlaceTest() {
    app().servers[0].max_connections = 2;
    app().queue = {.size = 0, .timeout = 3s};
    app().preconnect = 1;
  }
  void accept_first() {
    start();
    group = connection->snapshot().shared->backends.at("app").group;
    holder = group->queue->add_spare_holder([this] { ++asked; });
    ASSERT_TRUE(server_state().take_place(2));
    server_state().add_place_of_spare();
  }
  ServerState& server_state() { return *group->servers[0].state; }
  void give_up_spare() {
    server_state().remove_place_of_spare();
    server_state().give_place_back();
  }

  std::shared_ptr<const BackendGroup> group;
  std::unique_ptr<PlaceQueue::SpareHolder> holder;
  int asked = 0;
};

TEST_F(SparePlaceTest, AConnectionAsksForThePlaceOfASpareAndWaitsForIt) {
  accept_first();
  others.push_back(accept(std::make_shared<Script>(), 2));
  EXPECT_EQ(phase_of(*others[0]), "connect");
  EXPECT_EQ(asked, 1);
  others.push_back(accept(std::make_shared<Script>(), 3));
  EXPECT_EQ(others[1]->info().detail.view(), "all_full") << "there is one place";
  give_up_spare();
  step_the_woken();
  EXPECT_EQ(phase_of(*others[0]), "relay");
  EXPECT_EQ(ended(QueueEnd::kServed), 1U);
}

TEST_F(SparePlaceTest, AConnectionEndsWhereThePlaceOfTheSpareIsGone) {
  accept_first();
  others.push_back(accept(std::make_shared<Script>(), 2));
  server_state().remove_place_of_spare();  // a client of that worker has it now
  group->queue->place_may_be_free();
  step_the_woken();
  ASSERT_TRUE(others[0]->is_buried());
  EXPECT_EQ(others[0]->info().detail.view(), "all_full");
  EXPECT_EQ(queued(), 0U);
}

TEST_F(ConnectTest, HasNoBackendWhileNoNameIsResolved) {
  app().servers.resize(1);
  app().servers[0].address = "not-resolved.example:80";
  start();
  EXPECT_EQ(connection->info().detail.view(), "unresolved");
  EXPECT_END("no_backend");
  EXPECT_EQ(metrics.server(0, "app", "not-resolved.example:80")
                .connect_failures[static_cast<std::size_t>(ConnectFailure::kResolve)]
                .value(),
            1U);
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

// Of the first of two servers TLS fails. The second refuses, or breaks off before TLS.
TEST_F(ConnectTest, TellsOfTheAttemptThatCameFurthest) {
  app().tls.emplace().verify = false;
  app().send_proxy = config::SendProxy::kV2;
  for (const bool is_reached : {false, true}) {
    transport.dialled.clear();
    server = std::make_shared<Script>();
    server->handshakes = {IoStatus::kDone, IoStatus::kFailed};
    second = std::make_shared<Script>();
    if (is_reached) {
      second->flushes = {IoStatus::kFailed};
    } else {
      second->handshakes = {IoStatus::kFailed};
    }
    second->failure = {.kind = FailureKind::kSystem, .alert = -1, .what = "refused", .error = ECONNRESET};
    transport.servers = {server, second};
    start();
    permits.grant();
    ASSERT_EQ(transport.dialled.size(), 2U);
    EXPECT_EQ(connection->info().server.view(), transport.dialled.front());
    EXPECT_THAT(std::string(connection->info().detail.view()),
                testing::StartsWith(transport.dialled.front() + ": "));
    EXPECT_EQ(connection->close_reason(), CloseReason::kBackendHandshakeFailed) << is_reached;
  }
}

TEST_F(ConnectTest, TellsOfTheLastOfTheAttemptsThatCameAsFar) {
  server->handshakes = {IoStatus::kWantWrite};
  transport.servers.push_back(nullptr);
  start();
  pass(app().connect_timeout);
  EXPECT_EQ(connection->info().server.view(), transport.dialled.back());
  EXPECT_END("backend_connect_failed");
}

/// A backend of one server with TLS, whose handshakes fail.
class BlameTest : public ConnectionTest {
 protected:
  BlameTest() {
    app().tls.emplace().verify = false;
    app().servers.resize(1);
    app().connect_attempts = 1;
    server->handshakes = {IoStatus::kDone, IoStatus::kFailed};
  }
  /// The failures that count against the server, after the connection of a client that asks for a name.
  int failures() {
    client->sends(client_hello("invented.example"));
    start();
    while (permits.waiting != nullptr) permits.grant();
    EXPECT_TRUE(connection->is_buried());
    const auto& state = connection->snapshot().backends.at("app");
    EXPECT_EQ(
        state.metrics[0]->connect_failures[static_cast<std::size_t>(ConnectFailure::kTls)].value() +
            state.metrics[0]->connect_failures[static_cast<std::size_t>(ConnectFailure::kOther)].value(),
        1U)
        << "the metric counts it in any case";
    return state.picker->counters(0).failures_in_row;
  }
};

TEST_F(BlameTest, AFailureInTlsCountsAgainstTheServer) {
  EXPECT_EQ(failures(), 1);
}

// Ten clients with invented names had the server ejected for all others.
TEST_F(BlameTest, AFailureInTlsDoesNotCountAgainstAServerThatIsAskedForTheClientsName) {
  app().tls->server_name = "$sni";
  EXPECT_EQ(failures(), 0);
}

TEST_F(BlameTest, AFailureToConnectCountsWhateverNameTheClientAsksFor) {
  app().tls->server_name = "$sni";
  server->handshakes = {IoStatus::kFailed};
  EXPECT_EQ(failures(), 1);
}

/// A backend of one server, which is reached from the client's address.
class ClientSourceTest : public ConnectTest {
 protected:
  ClientSourceTest() {
    app().source = "client";
    app().servers.resize(1);
    app().connect_attempts = 1;
  }
  int failures() { return connection->snapshot().backends.at("app").picker->counters(0).failures_in_row; }
};

// Five connections of one client to which the servers have another way back had them ejected for all others.
TEST_F(ClientSourceTest, AnAnswerThatDoesNotComeBackDoesNotCountAgainstTheServer) {
  server->handshakes = {IoStatus::kWantWrite};
  start();
  pass(app().connect_timeout);
  EXPECT_END("backend_connect_timeout");
  EXPECT_EQ(failures(), 0);
}

TEST_F(ClientSourceTest, ARefusalCountsAgainstTheServer) {
  transport.servers = {nullptr};
  start();
  EXPECT_EQ(failures(), 1);
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
  EXPECT_END("backend_handshake_failed");
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

/// A mail server that is asked for TLS, behind a listener without TLS.
class AskForTlsTest : public ConnectTest {
 protected:
  AskForTlsTest() {
    app().tls.emplace().verify = false;
    app().tls->starttls = StarttlsProtocol::kPop3;
    app().connect_attempts = 1;
  }
  std::uint64_t failures(ConnectFailure failure) {
    std::uint64_t count = 0;
    for (const char* address : {"127.0.0.1:1001", "127.0.0.1:1002"})
      count += metrics.server(0, "app", address).connect_failures[static_cast<std::size_t>(failure)].value();
    return count;
  }
};

TEST_F(AskForTlsTest, SpeaksTheServersProtocolUntilTlsAndGreetsTheClient) {
  start();
  EXPECT_EQ(connection->waiting().backend, Interest::kRead);
  server->sends("+OK <secret@server>\r\n");
  wake();
  EXPECT_EQ(server->written, "STLS\r\n");
  EXPECT_EQ(permits.waiting, nullptr) << "TLS has not begun";
  server->sends("+OK go\r\n");
  wake();
  ASSERT_NE(permits.waiting, nullptr);
  permits.grant();
  EXPECT_EQ(handshakes.script.secured, 1);
  EXPECT_EQ(phase(), "relay");
  EXPECT_EQ(client->written, "+OK headgate ready\r\n");
}

TEST_F(AskForTlsTest, TellsTheServerWhoTheClientIsBeforeItAsks) {
  app().send_proxy = config::SendProxy::kV1;
  app().tls->starttls = StarttlsProtocol::kPostgres;
  app().servers.resize(1);  // of several servers one is chosen by what the client says first
  start();
  EXPECT_THAT(server->written, testing::StartsWith("PROXY "));
  EXPECT_THAT(server->written, testing::EndsWith("\x04\xD2\x16\x2F"));
}

TEST_F(AskForTlsTest, WaitsUntilTheRequestHasLeft) {
  app().tls->starttls = StarttlsProtocol::kPostgres;
  app().servers.resize(1);  // of several servers one is chosen by what the client says first
  server->writes = {IoStatus::kWantWrite};
  server->flushes = {IoStatus::kDone, IoStatus::kDone};
  start();
  EXPECT_EQ(connection->waiting().backend, Interest::kWrite);
  server->sends("S");
  wake();
  EXPECT_NE(permits.waiting, nullptr);
}

TEST_F(AskForTlsTest, RefusesPlaintextBehindTheGoAheadAndNamesIt) {
  start();
  server->sends("+OK\r\n");
  wake();
  server->sends("+OK go\r\n+OK injected\r\n");
  wake();
  EXPECT_EQ(handshakes.script.secured, 0);
  EXPECT_EQ(failures(ConnectFailure::kPlaintext), 1U);
  EXPECT_EQ(client->written, "");
  EXPECT_END("backend_plaintext");
}

TEST_F(AskForTlsTest, NamesAServerThatRefuses) {
  start();
  server->sends("-ERR too busy\r\n");
  wake();
  EXPECT_EQ(connection->info().detail.view(),
            transport.dialled.front() + ": the server does not welcome us: \"-ERR too busy\"");
  EXPECT_EQ(failures(ConnectFailure::kStarttls), 1U);
  EXPECT_END("backend_starttls_failed");
}

TEST_F(AskForTlsTest, NamesAServerThatEndsOrSaysTooMuch) {
  for (const bool ends : {true, false}) {
    transport.servers = {server = std::make_shared<Script>()};
    host.buried = 0;
    start();
    if (ends) {
      server->leaves();
    } else {
      server->sends(std::string(kMaxStarttlsInputBytes + 1, '+'));
    }
    wake();
    EXPECT_EQ(name(connection->close_reason()), "backend_starttls_failed");
    EXPECT_EQ(host.buried, 1);
  }
}

TEST_F(AskForTlsTest, TriesAnotherServerWhenOneBreaksOff) {
  app().connect_attempts = 2;
  transport.servers.push_back(second);
  start();
  server->breaks(FailureKind::kReset);
  wake();
  EXPECT_EQ(transport.dialled.size(), 2U);
  EXPECT_EQ(phase(), "connect");
  second->sends("+OK\r\n");
  wake();
  EXPECT_EQ(second->written, "STLS\r\n");
}

TEST_F(AskForTlsTest, ASilentServerHasTheConnectTimeout) {
  start();
  pass(app().connect_timeout - 1ms);
  EXPECT_EQ(phase(), "connect");
  pass(1ms);
  EXPECT_END("backend_connect_timeout");
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
