#include "worker/spare_connections.h"

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "connection/fixture.h"

namespace headgate::test {
namespace {

/// The spare connections of one worker to the scripted servers of the backend "app". A test changes `config`
/// first, then calls begin().
class SparesTest : public testing::Test {
 protected:
  SparesTest() : nowhere_(::open("/dev/null", O_WRONLY | O_CLOEXEC)) {
    config::Backend backend;
    backend.name = "app";
    backend.servers.resize(2);
    backend.servers[0].address = "127.0.0.1:1001";
    backend.servers[1].address = "127.0.0.1:1002";
    backend.preconnect = 2;
    backend.ejection.failures = 1;
    config.backends.emplace("app", std::move(backend));
  }

  [[nodiscard]] config::Backend& app() { return config.backends.at("app"); }
  void begin() {
    adopt();
    spares->begin();
    upkeep();
  }
  /// Makes the worker adopt the configuration, at first or anew.
  void adopt() {
    Diagnostics faults;
    auto shared = Snapshot::build(config, {.snapshot = snapshot ? snapshot->shared.get() : nullptr},
                                  directory, std::chrono::system_clock::now(), faults);
    ASSERT_NE(shared, nullptr) << (faults.empty() ? "" : faults.front().what);
    auto next = *WorkerSnapshot::prepare(std::move(shared), 0, *library, nullptr, metrics);
    next->adopt(snapshot.get(), 1);
    const auto before = std::exchange(snapshot, next);
    spares->adopt(std::move(next));
  }
  /// Lets time pass and looks after the spares, with servers enough for all dials.
  void upkeep(Duration time = 0s) {
    host.time += time;
    while (transport.servers.size() < 32) {
      scripts.push_back(std::make_shared<Script>());
      if (on_new) on_new(*scripts.back());
      transport.servers.push_back(scripts.back());
    }
    spares->upkeep();
    loop.run_once();
  }
  [[nodiscard]] GroupPicker& picker() { return *snapshot->backends.at("app").picker; }
  /// What the next client gets.
  std::unique_ptr<Stream> take() {
    auto choice = picker().pick(source, {}, host.time);
    EXPECT_TRUE(choice) << name(choice.error());
    if (!choice) return nullptr;
    leases.push_back(std::move(choice->lease));
    choice->lease = {};
    return spares->take(snapshot->backends.at("app"), *choice);
  }
  [[nodiscard]] std::uint64_t held() const {
    return sum([](auto& of) { return of.spares.value(); });
  }
  [[nodiscard]] std::uint64_t used() const {
    return sum([](auto& of) { return of.spares_used.value(); });
  }
  [[nodiscard]] std::uint64_t stopped() const {
    return sum([](auto& of) { return of.spares_stopped.value(); });
  }
  [[nodiscard]] std::uint64_t discarded(SpareEnd why) const {
    return sum([why](auto& of) { return of.spares_discarded[static_cast<std::size_t>(why)].value(); });
  }
  [[nodiscard]] ServerState& state(std::size_t i) { return *picker().group().servers[i].state; }
  [[nodiscard]] std::size_t dials() const { return transport.dialled.size(); }
  void run_posted() {
    for (const auto& work : std::exchange(posted, {})) work();
  }

  config::Config config;
  Address source = *Address::parse("192.0.2.7:4711");
  Loop loop;
  FakeTransport transport;
  FakeHost host;
  MetricsRegistry metrics;
  ServerDirectory directory;
  std::vector<std::shared_ptr<Script>> scripts;  ///< Of the servers, as they are dialled.
  std::function<void(Script&)> on_new;           ///< Changes each before it is dialled.
  std::vector<std::function<void()>> posted;
  std::vector<ServerLease> leases;
  std::unique_ptr<LibraryContext> library{*LibraryContext::make()};
  std::shared_ptr<WorkerSnapshot> snapshot;

 private:
  template <class Value>
  [[nodiscard]] std::uint64_t sum(Value value) const {
    std::uint64_t all = 0;
    for (const auto& entry : metrics.servers()) all += value(*entry.metrics);
    return all;
  }

  Fd nowhere_;
  std::unique_ptr<Log> log_{
      *Log::open({.level = LogLevel::kDebug, .format = LogFormat::kText, .fd = nowhere_.number()})};

 protected:
  std::unique_ptr<SpareConnections> spares = std::make_unique<SpareConnections>(
      loop, transport, host, *log_,
      [this](std::function<void()> work) { posted.push_back(std::move(work)); });
};

TEST_F(SparesTest, HoldsAsManyAsConfiguredAtTheServersWhoseTurnIsNext) {
  app().preconnect = 4;
  begin();
  EXPECT_THAT(transport.dialled, testing::UnorderedElementsAre("127.0.0.1:1001", "127.0.0.1:1001",
                                                               "127.0.0.1:1002", "127.0.0.1:1002"));
  EXPECT_EQ(held(), 4U);
  upkeep(1s);
  EXPECT_EQ(dials(), 4U);
}

TEST_F(SparesTest, MakesNoneBeforeTheWorkerAccepts) {
  adopt();
  upkeep(1s);
  EXPECT_EQ(dials(), 0U);
}

TEST_F(SparesTest, GivesOneToEachClientAndMakesAnother) {
  begin();
  for (int client = 0; client < 6; ++client) {
    EXPECT_NE(take(), nullptr);
    EXPECT_EQ(held(), 1U);
    upkeep();
    EXPECT_EQ(held(), 2U);
  }
  EXPECT_EQ(used(), 6U);
  EXPECT_EQ(dials(), 8U);
}

TEST_F(SparesTest, AClientGetsNoneThatIsNotConnectedYet) {
  app().preconnect = 1;
  on_new = [](Script& script) { script.handshakes.assign(100, IoStatus::kWantWrite); };
  begin();
  EXPECT_EQ(held(), 0U);
  EXPECT_EQ(take(), nullptr);
  upkeep(app().connect_timeout);
  EXPECT_EQ(discarded(SpareEnd::kFailed), 1U);
}

TEST_F(SparesTest, BecomesReadyWhenTheServerAnswers) {
  app().preconnect = 1;
  on_new = [](Script& script) { script.handshakes = {IoStatus::kWantWrite}; };
  begin();
  EXPECT_EQ(held(), 1U) << "the loop has told of it";
}

TEST_F(SparesTest, AnEndThatTheLoopHasNotSeenYetIsSeenWhenAClientTakesTheSpare) {
  app().servers.resize(1);
  begin();
  scripts[1]->leaves();
  EXPECT_NE(take(), nullptr) << "the other one";
  EXPECT_EQ(discarded(SpareEnd::kEnded), 1U);
  EXPECT_TRUE(scripts[1]->closed);
  EXPECT_EQ(take(), nullptr);
}

TEST_F(SparesTest, AResetThatTheLoopHasNotSeenYetIsSeenToo) {
  app().servers.resize(1);
  app().preconnect = 1;
  begin();
  scripts[0]->breaks(FailureKind::kReset);
  EXPECT_EQ(take(), nullptr);
  EXPECT_EQ(discarded(SpareEnd::kEnded), 1U);
}

TEST_F(SparesTest, NoClientGetsASpareOnWhichAByteHasCome) {
  app().servers.resize(1);
  app().preconnect = 1;
  begin();
  scripts[0]->sends("220 hello\r\n");
  EXPECT_EQ(take(), nullptr);
  EXPECT_EQ(held(), 0U);
}

TEST_F(SparesTest, AServerThatGreetsGetsNoMoreUntilItsBackendChanges) {
  begin();
  for (const auto& script : scripts) script->sends("220 hello\r\n");
  loop.run_once();
  EXPECT_EQ(held(), 0U);
  upkeep(SparePool::kGreetingPatience);
  EXPECT_EQ(stopped(), 2U);
  EXPECT_EQ(discarded(SpareEnd::kSpoke), 2U);
  for (int second = 0; second < 100; ++second) upkeep(1s);
  EXPECT_EQ(dials(), 2U);
  adopt();
  upkeep(1s);
  EXPECT_EQ(dials(), 2U) << "a reload that changes nothing changes nothing here either";
  app().connect_timeout = 3s;
  adopt();
  EXPECT_EQ(stopped(), 0U);
  upkeep();
  EXPECT_EQ(dials(), 4U);
}

TEST_F(SparesTest, AServerThatRefusesWithAWordAndEndsIsTriedAgainAfterAPause) {
  app().servers.resize(1);
  app().preconnect = 1;
  begin();
  scripts[0]->sends("-ERR max number of clients reached\r\n");
  loop.run_once();
  scripts[0]->leaves();
  loop.run_once();
  EXPECT_EQ(discarded(SpareEnd::kSpoke), 1U);
  upkeep(SparePool::kGreetingPatience);
  EXPECT_EQ(stopped(), 0U);
  EXPECT_EQ(dials(), 2U);
}

TEST_F(SparesTest, AServerThatEndsThemAtOnceDrawsNoLoopOfConnects) {
  app().servers.resize(1);
  on_new = [](Script& script) { script.leaves(); };
  begin();
  for (int step = 0; step < 600; ++step) upkeep(100ms);
  EXPECT_GE(dials(), 6U);
  EXPECT_LE(dials(), 14U) << "in a minute, two at a time";
}

TEST_F(SparesTest, AServerThatRefusesDrawsNoLoopOfConnects) {
  app().servers.resize(1);
  begin();
  for (int i = 0; i < 600; ++i) {
    transport.servers.assign(32, nullptr);
    leases.clear();
    static_cast<void>(take());
    upkeep(100ms);
  }
  EXPECT_GE(discarded(SpareEnd::kFailed), 3U);
  EXPECT_LE(discarded(SpareEnd::kFailed), 8U);
}

TEST_F(SparesTest, AServerThatEndsIdleConnectionsGetsNewOnesAfterASecond) {
  app().servers.resize(1);
  app().preconnect = 1;
  begin();
  for (std::size_t round = 0; round < 5; ++round) {
    upkeep(6s);
    scripts[round]->leaves();
    loop.run_once();
    EXPECT_EQ(held(), 0U);
    upkeep(SparePool::kFirstPause);
    EXPECT_EQ(held(), 1U) << round;
  }
  EXPECT_EQ(discarded(SpareEnd::kEnded), 5U);
}

TEST_F(SparesTest, ASpareThatNobodyHasUsedForLongIsReplaced) {
  app().preconnect = 1;
  begin();
  upkeep(SparePool::kOldest * 79 / 100);
  EXPECT_EQ(discarded(SpareEnd::kOld), 0U);
  upkeep(SparePool::kOldest * 21 / 100);
  EXPECT_EQ(discarded(SpareEnd::kOld), 1U);
  EXPECT_EQ(held(), 1U);
}

TEST_F(SparesTest, AServerThatGoesDownLosesThemAndGetsThemBackAtOnce) {
  begin();
  state(0).set_condition({.up = false});
  upkeep(1s);
  EXPECT_EQ(discarded(SpareEnd::kServerAway), 1U);
  EXPECT_EQ(held(), 2U) << "both at the other server";
  EXPECT_EQ(metrics.server(0, "app", "127.0.0.1:1001").spares.value(), 0U);
  state(0).set_condition({});
  EXPECT_NE(take(), nullptr);
  upkeep();
  EXPECT_EQ(metrics.server(0, "app", "127.0.0.1:1001").spares.value(), 1U);
}

TEST_F(SparesTest, AServerThatIsEjectedLosesThem) {
  app().servers.resize(1);
  begin();
  const ServerLease lease = picker().adopt("127.0.0.1:1001");
  picker().on_failed(lease, *Address::parse("127.0.0.1:1001"), host.time);
  upkeep();
  EXPECT_EQ(held(), 0U);
  EXPECT_EQ(discarded(SpareEnd::kServerAway), 2U);
  upkeep(app().ejection.for_time);
  EXPECT_EQ(held(), 2U);
}

TEST_F(SparesTest, SparesFollowTheAddressesOfAName) {
  app().servers.resize(1);
  app().servers[0].address = "name.example:80";
  begin();
  EXPECT_EQ(dials(), 0U);
  directory.publish("name.example", {*Address::parse("10.0.0.1:0")});
  upkeep(1s);
  EXPECT_EQ(held(), 2U);
  directory.publish("name.example", {*Address::parse("10.0.0.2:0")});
  EXPECT_EQ(take(), nullptr) << "the client goes to an address that the name has";
  upkeep(1s);
  EXPECT_EQ(discarded(SpareEnd::kServerAway), 2U);
  EXPECT_EQ(held(), 2U);
  EXPECT_EQ(transport.dialled.back(), "10.0.0.2:80");
  EXPECT_NE(take(), nullptr);
}

// "localhost" is ::1 and 127.0.0.1, and its service often listens on one of them only.
TEST_F(SparesTest, AnAddressThatRefusesGivesWayToTheOthersOfItsServer) {
  app().servers.resize(1);
  app().servers[0].address = "localhost:1001";
  adopt();
  directory.publish("localhost", {*Address::parse("[::1]:0"), *Address::parse("127.0.0.1:0")});
  transport.servers = {nullptr};
  spares->begin();
  upkeep();
  EXPECT_EQ(held(), 2U) << "without a pause";
  EXPECT_EQ(discarded(SpareEnd::kFailed), 1U);
  for (int client = 0; client < 8; ++client) {
    EXPECT_NE(take(), nullptr);
    leases.clear();
    upkeep();
  }
  const std::string refused = transport.dialled.front();
  EXPECT_EQ(std::ranges::count(transport.dialled, refused), 1);
  EXPECT_FALSE(state(0).ejected_since(host.time));
}

TEST_F(SparesTest, AnAddressOfAServerWhoseAddressesAllRefuseIsTriedAfterAPause) {
  app().servers.resize(1);
  app().servers[0].address = "localhost:1001";
  adopt();
  directory.publish("localhost", {*Address::parse("[::1]:0"), *Address::parse("127.0.0.1:0")});
  spares->begin();
  for (int i = 0; i < 600; ++i) {
    transport.servers.assign(32, nullptr);
    upkeep(100ms);
  }
  EXPECT_GE(discarded(SpareEnd::kFailed), 3U);
  EXPECT_LE(discarded(SpareEnd::kFailed), 16U);
}

TEST_F(SparesTest, AClientGetsTheSpareWithItsPlaceWhereAServerIsFull) {
  app().servers.resize(1);
  app().servers[0].max_connections = 2;
  app().preconnect = 5;
  begin();
  EXPECT_EQ(held(), 2U);
  EXPECT_NE(take(), nullptr);
  EXPECT_NE(take(), nullptr);
  EXPECT_EQ(state(0).places_taken(), 2U);
  upkeep(1s);
  EXPECT_EQ(held(), 0U);
  leases.clear();
  EXPECT_EQ(state(0).places_taken(), 0U);
  upkeep(1s);
  EXPECT_EQ(held(), 2U);
}

TEST_F(SparesTest, TheSpareWhosePlaceAClientGotEndsWhereTheClientCannotHaveIt) {
  app().servers.resize(1);
  app().servers[0].max_connections = 1;
  begin();
  scripts[0]->sends("spoilt");
  EXPECT_EQ(take(), nullptr);
  EXPECT_EQ(discarded(SpareEnd::kPlaceWanted), 1U);
  EXPECT_EQ(state(0).places_taken(), 1U) << "the client's";
  EXPECT_EQ(state(0).places_of_spares(), 0U);
}

TEST_F(SparesTest, GivesPlacesToTheClientsOfOtherWorkersThatAskForThem) {
  app().servers.resize(1);
  app().servers[0].max_connections = 1;
  begin();
  EXPECT_EQ(state(0).places_taken(), 1U);
  picker().group().queue->ask_for_places_of_spares();
  EXPECT_EQ(state(0).places_taken(), 1U) << "the loop of this worker has not heard of it yet";
  run_posted();
  EXPECT_EQ(state(0).places_taken(), 0U);
  EXPECT_EQ(discarded(SpareEnd::kPlaceWanted), 1U);
  upkeep(1s);
  EXPECT_EQ(state(0).places_taken(), 0U) << "they may need it";
  upkeep(SparePool::kPlacesWantedPause);
  EXPECT_NE(take(), nullptr);
}

TEST_F(SparesTest, AReloadKeepsThemWhereTheBackendIsAsBefore) {
  config.backends.emplace("other", app()).first->second.name = "other";
  begin();
  EXPECT_EQ(dials(), 4U);
  config.backends.at("other").connect_timeout = 7s;
  adopt();
  EXPECT_EQ(discarded(SpareEnd::kUnwanted), 2U);
  EXPECT_NE(take(), nullptr);
  upkeep();
  EXPECT_EQ(dials(), 7U);
}

TEST_F(SparesTest, AReloadThatTakesPreconnectOrTheBackendAwayEndsThem) {
  begin();
  app().preconnect = 0;
  adopt();
  EXPECT_EQ(held(), 0U);
  EXPECT_EQ(take(), nullptr);
  app().preconnect = 1;
  adopt();
  upkeep();
  EXPECT_EQ(held(), 1U);
  config.backends.clear();
  adopt();
  EXPECT_EQ(held(), 0U);
}

TEST_F(SparesTest, AConnectionThatBeganBeforeAReloadConnectsByItself) {
  begin();
  const auto before = snapshot;
  adopt();
  auto choice = before->backends.at("app").picker->pick(source, {}, host.time).value();
  EXPECT_EQ(spares->take(before->backends.at("app"), choice), nullptr);
}

TEST_F(SparesTest, AConnectionThatBeganBeforeAReloadLeavesNoSpareWithoutAPlace) {
  app().servers.resize(1);
  app().servers[0].max_connections = 1;
  begin();
  const auto before = snapshot;
  adopt();
  auto choice = before->backends.at("app").picker->pick(source, {}, host.time).value();
  EXPECT_EQ(spares->take(before->backends.at("app"), choice), nullptr);
  EXPECT_EQ(held(), 0U) << "the server may have one connection";
  EXPECT_EQ(discarded(SpareEnd::kPlaceWanted), 1U);
}

TEST_F(SparesTest, AWorkerThatAcceptsNoMoreEndsThemAndMakesNone) {
  app().servers[0].max_connections = 9;
  begin();
  spares->end();
  EXPECT_EQ(held(), 0U);
  EXPECT_EQ(discarded(SpareEnd::kUnwanted), 2U);
  EXPECT_EQ(state(0).places_taken(), 0U);
  adopt();
  upkeep(60s);
  EXPECT_EQ(dials(), 2U);
  spares->begin();
  upkeep();
  EXPECT_EQ(held(), 2U);
}

TEST_F(SparesTest, WhatWasAskedBeforeTheEndIsHarmlessAfterIt) {
  begin();
  picker().group().queue->ask_for_places_of_spares();
  spares->end();
  run_posted();
  EXPECT_EQ(held(), 0U);
}

TEST_F(SparesTest, GivesUpItsDescriptorsForAWhile) {
  begin();
  EXPECT_TRUE(spares->give_up_descriptors());
  EXPECT_FALSE(spares->give_up_descriptors());
  EXPECT_EQ(discarded(SpareEnd::kDescriptors), 2U);
  upkeep(SpareConnections::kDescriptorsPause - 1ms);
  EXPECT_EQ(held(), 0U);
  upkeep(1ms);
  EXPECT_EQ(held(), 2U);
}

TEST_F(SparesTest, BeginsNotTooManyConnectsInOneTurn) {
  app().preconnect = 40;
  adopt();
  spares->begin();
  while (transport.servers.size() < 64) transport.servers.push_back(std::make_shared<Script>());
  spares->upkeep();
  EXPECT_EQ(dials(), 16U);
  spares->upkeep();
  spares->upkeep();
  EXPECT_EQ(dials(), 40U);
}

TEST_F(SparesTest, LosesNoDescriptorAndNoPlaceWhenItIsDestroyed) {
  app().servers[0].max_connections = 3;
  begin();
  const auto group = snapshot->shared->backends.at("app").group;
  spares.reset();
  EXPECT_TRUE(scripts[0]->closed && scripts[1]->closed);
  EXPECT_EQ(group->servers[0].state->places_taken(), 0U);
}

}  // namespace
}  // namespace headgate::test
