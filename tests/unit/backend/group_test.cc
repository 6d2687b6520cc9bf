#include "backend/group.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace headgate {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::UnorderedElementsAre;

Address address(std::string_view text) {
  return Address::parse(text).value();
}
Address source(int n) {
  return address("10.0." + std::to_string(n / 250) + '.' + std::to_string(n % 250 + 1) + ":40000");
}

/// A backend with one worker's picker, and a clock moved by hand.
class Backend {
 public:
  explicit Backend(std::vector<config::Server> servers,
                   config::Balance balance = config::Balance::kRoundRobin) {
    config_.name = "app";
    config_.servers = std::move(servers);
    config_.balance = balance;
    config_.ejection = {.failures = 3, .for_time = 10s};
    reload();
  }

  void reload() {
    auto group = BackendGroup::build(config_, directory_).value();
    auto next = std::make_unique<GroupPicker>(group, picker_.get(), 0);
    picker_ = std::move(next);
  }

  config::Backend& config() { return config_; }
  GroupPicker& picker() { return *picker_; }
  ServerState& state(std::size_t i) { return *picker_->group().servers[i].state; }
  tl::expected<Choice, NoServer> pick(const Address& from = source(0)) {
    return picker_->pick(from, tried_, now_);
  }
  /// Makes a connection that ends at once; returns the index of the server that it got.
  std::size_t pick_index(const Address& from = source(0)) { return pick(from).value().index; }
  std::vector<std::size_t> pick_indexes(int count) {
    std::vector<std::size_t> indexes;
    for (int i = 0; i < count; ++i) indexes.push_back(pick_index());
    return indexes;
  }
  std::map<std::size_t, int> shares(int count) {
    std::map<std::size_t, int> shares;
    for (int i = 0; i < count; ++i) ++shares[pick_index(source(i))];
    return shares;
  }

  /// Makes a connection that cannot reach its server, and remembers the server as tried.
  FailureOutcome fail(Choice choice) {
    const auto outcome = picker_->on_failed(choice.lease, choice.address, now_);
    tried_.push_back({choice.index, choice.address});
    return outcome;
  }
  /// Lets one connection after the other fail at the server at `index`, until the server is ejected.
  void eject(std::size_t index) {
    const ServerLease lease = picker_->adopt(config_.servers[index].address);
    for (int i = 0; i < config_.ejection.failures; ++i) {
      picker_->on_failed(lease, *lease.server().endpoint().literal, now_);
    }
  }
  void next_connection() { tried_.clear(); }
  void pass(Duration time) { now_ += time; }
  TimePoint now() const { return now_; }

 private:
  config::Backend config_;
  ServerDirectory directory_;
  std::unique_ptr<GroupPicker> picker_;
  std::vector<Tried> tried_;
  TimePoint now_{1000s};
};

config::Server server(std::string address, std::uint32_t weight = 1, std::uint32_t max_connections = 0) {
  return {std::move(address), weight, max_connections};
}

std::vector<config::Server> three() {
  return {server("10.1.0.1:80"), server("10.1.0.2:80"), server("10.1.0.3:80")};
}

TEST(RoundRobin, TakesServersInTurn) {
  Backend backend(three());
  const auto indexes = backend.pick_indexes(6);
  EXPECT_THAT((std::vector(indexes.begin(), indexes.begin() + 3)), UnorderedElementsAre(0, 1, 2));
  EXPECT_TRUE(std::equal(indexes.begin(), indexes.begin() + 3, indexes.begin() + 3));
}

TEST(RoundRobin, GivesEachItsWeightWithoutRuns) {
  Backend backend({server("10.1.0.1:80", 5), server("10.1.0.2:80", 1), server("10.1.0.3:80", 1)});
  const auto indexes = backend.pick_indexes(70);
  EXPECT_EQ(std::count(indexes.begin(), indexes.end(), 0U), 50);
  EXPECT_EQ(std::count(indexes.begin(), indexes.end(), 1U), 10);
  const std::vector<std::size_t> run(5, 0);
  EXPECT_EQ(std::search(indexes.begin(), indexes.end(), run.begin(), run.end()), indexes.end());
}

TEST(RoundRobin, WorkersDoNotAllBeginWithTheSameServer) {
  Backend backend(three());
  std::map<std::size_t, int> first;
  const auto group = BackendGroup::build(backend.config(), *std::make_unique<ServerDirectory>()).value();
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    GroupPicker worker(group, nullptr, seed);
    ++first[worker.pick(source(0), {}, backend.now()).value().index];
  }
  EXPECT_EQ(first.size(), 3U);
}

TEST(RoundRobin, AServerOfWeightZeroGetsNoNewConnections) {
  Backend backend({server("10.1.0.1:80", 0), server("10.1.0.2:80")});
  EXPECT_THAT(backend.pick_indexes(4), ElementsAre(1, 1, 1, 1));
}

TEST(LeastConnections, PrefersTheServerWithFewest) {
  Backend backend(three(), config::Balance::kLeastConnections);
  std::vector<Choice> open;
  for (int i = 0; i < 9; ++i) open.push_back(backend.pick().value());
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(backend.picker().counters(i).active, 3U);
  std::erase_if(open, [](const Choice& choice) { return choice.index == 1; });
  for (int i = 0; i < 3; ++i) open.push_back(backend.pick().value());
  EXPECT_EQ(backend.picker().counters(1).active, 3U);
}

TEST(LeastConnections, CountsByWeight) {
  Backend backend({server("10.1.0.1:80", 3), server("10.1.0.2:80", 1)}, config::Balance::kLeastConnections);
  std::vector<Choice> open;
  for (int i = 0; i < 40; ++i) open.push_back(backend.pick().value());
  EXPECT_EQ(backend.picker().counters(0).active, 30U);
  EXPECT_EQ(backend.picker().counters(1).active, 10U);
}

TEST(LeastConnections, SpreadsConnectionsThatEndAtOnce) {
  Backend backend(three(), config::Balance::kLeastConnections);
  const auto shares = backend.shares(600);
  for (const auto& [index, count] : shares) EXPECT_GT(count, 120) << index;
  EXPECT_EQ(shares.size(), 3U);
}

TEST(RandomTwo, KeepsServersNearlyEven) {
  Backend backend({server("10.1.0.1:80", 2), server("10.1.0.2:80"), server("10.1.0.3:80")},
                  config::Balance::kRandomTwo);
  std::vector<Choice> open;
  for (int i = 0; i < 400; ++i) open.push_back(backend.pick().value());
  EXPECT_NEAR(backend.picker().counters(0).active, 200, 20);
  EXPECT_NEAR(backend.picker().counters(1).active, 100, 20);
}

TEST(SourceHash, SendsASourceToTheSameServerWhateverItsPort) {
  Backend backend(three(), config::Balance::kSourceHash);
  for (int i = 0; i < 50; ++i) {
    Address from = source(i);
    const auto index = backend.pick_index(from);
    from.set_port(1234);
    EXPECT_EQ(backend.pick_index(from), index);
    EXPECT_EQ(backend.pick_index(address("[::ffff:" + from.host_text() + "]:1")), index);
  }
}

TEST(SourceHash, SpreadsSourcesByWeight) {
  Backend backend({server("10.1.0.1:80", 2), server("10.1.0.2:80"), server("10.1.0.3:80")},
                  config::Balance::kSourceHash);
  auto shares = backend.shares(4000);
  EXPECT_NEAR(shares[0], 2000, 150);
  EXPECT_NEAR(shares[1], 1000, 120);
}

TEST(SourceHash, MovesOnlyTheSourcesOfAServerThatGoes) {
  Backend backend(three(), config::Balance::kSourceHash);
  std::vector<std::size_t> before;
  for (int i = 0; i < 300; ++i) before.push_back(backend.pick_index(source(i)));
  backend.state(1).set_condition({.up = false});
  for (int i = 0; i < 300; ++i) {
    const auto now = backend.pick_index(source(i));
    const auto was = before[static_cast<std::size_t>(i)];
    EXPECT_TRUE(was == 1 ? now != 1 : now == was) << was << ' ' << now;
  }
}

TEST(GroupPicker, PassesOverServersThatAreDown) {
  Backend backend(three());
  backend.state(0).set_condition({.up = false});
  backend.state(2).set_condition({.up = false});
  EXPECT_THAT(backend.pick_indexes(3), ElementsAre(1, 1, 1));
  backend.state(1).set_condition({.up = false});
  EXPECT_EQ(backend.pick().error(), NoServer::kAllDown);
}

TEST(GroupPicker, TriesEveryOtherServerBeforeItGivesUp) {
  Backend backend(three());
  std::vector<std::size_t> tried;
  for (int i = 0; i < 3; ++i) {
    tried.push_back(backend.pick_index());
    backend.fail(backend.pick().value());
  }
  EXPECT_EQ(backend.pick().error(), NoServer::kAllTried);
  backend.next_connection();
  EXPECT_TRUE(backend.pick().has_value());
}

TEST(GroupPicker, EjectsAServerThatFailsInARowAndTriesItAgainLater) {
  Backend backend(three());
  backend.eject(1);
  const auto meanwhile = backend.pick_indexes(6);
  EXPECT_EQ(std::count(meanwhile.begin(), meanwhile.end(), 1U), 0);
  backend.pass(10s);
  const auto later = backend.pick_indexes(6);
  EXPECT_EQ(std::count(later.begin(), later.end(), 1U), 2);
}

TEST(GroupPicker, SaysWhichFailureEjectedAndEjectsAgainAtTheFirstFailureAfterwards) {
  Backend backend({server("10.1.0.1:80")});
  const auto fail = [&] {
    backend.next_connection();
    return backend.fail(backend.pick().value());
  };
  EXPECT_EQ(fail(), FailureOutcome::kCounted);
  EXPECT_EQ(fail(), FailureOutcome::kCounted);
  EXPECT_EQ(fail(), FailureOutcome::kEjected);
  backend.pass(11s);
  EXPECT_EQ(fail(), FailureOutcome::kEjected);
}

TEST(GroupPicker, ForgivesFailuresOnceAConnectionSucceeds) {
  Backend backend(three());
  backend.eject(0);
  const ServerLease lease = backend.picker().adopt("10.1.0.1:80");
  backend.picker().on_connected(lease, address("10.1.0.1:80"), backend.now());
  EXPECT_EQ(backend.picker().on_failed(lease, address("10.1.0.1:80"), backend.now()),
            FailureOutcome::kCounted);
  const auto indexes = backend.pick_indexes(6);
  EXPECT_EQ(std::count(indexes.begin(), indexes.end(), 0U), 2);
}

TEST(GroupPicker, TellsThatAServerIsEjectedUntilItsTimeIsOverOrAConnectionSucceeds) {
  Backend backend(three());
  const ServerLease lease = backend.picker().adopt("10.1.0.1:80");
  EXPECT_FALSE(backend.state(0).ejected_since(backend.now()));
  backend.eject(0);
  const auto since = backend.state(0).ejected_since(backend.now());
  EXPECT_TRUE(since);
  EXPECT_FALSE(backend.state(1).ejected_since(backend.now()));
  backend.pass(11s);
  EXPECT_FALSE(backend.state(0).ejected_since(backend.now()));
  backend.eject(0);
  EXPECT_EQ(backend.state(0).ejected_since(backend.now()), since) << "no connection has succeeded since";
  backend.picker().on_connected(lease, address("10.1.0.1:80"), backend.now());
  EXPECT_FALSE(backend.state(0).ejected_since(backend.now()));
}

/// Two servers, of which the second one has just come back, with a slow start of 30 s.
class WarmingBackend : public Backend {
 public:
  explicit WarmingBackend(config::Balance balance = config::Balance::kRoundRobin)
      : Backend({server("10.1.0.1:80"), server("10.1.0.2:80")}, balance) {
    config().slow_start = 30s;
    reload();
    state(1).set_back_since(now());
  }
};

TEST(SlowStart, GivesAServerThatComesBackATenthAtFirstAndEvenlyMore) {
  WarmingBackend backend;
  EXPECT_EQ(backend.shares(1100)[1], 100) << "a tenth of its weight, beside the whole of the other one";
  backend.pass(10s);
  EXPECT_EQ(backend.shares(1400)[1], 400);
  backend.pass(20s);
  EXPECT_EQ(backend.shares(1000)[1], 500);
}

TEST(SlowStart, HoldsForEveryBalance) {
  for (const auto balance : {config::Balance::kLeastConnections, config::Balance::kRandomTwo}) {
    WarmingBackend backend(balance);
    std::vector<Choice> open;
    for (int i = 0; i < 1100; ++i) open.push_back(backend.pick().value());
    EXPECT_NEAR(backend.picker().counters(1).active, 100, 20);
  }
}

TEST(SlowStart, TakesSourcesBackWithoutMovingOthers) {
  WarmingBackend backend(config::Balance::kSourceHash);
  std::vector<std::size_t> before;
  for (int i = 0; i < 500; ++i) before.push_back(backend.pick_index(source(i)));
  EXPECT_NEAR(static_cast<double>(std::count(before.begin(), before.end(), 1U)), 45, 25);
  backend.pass(15s);
  for (int i = 0; i < 500; ++i) {
    if (before[static_cast<std::size_t>(i)] == 1) {
      EXPECT_EQ(backend.pick_index(source(i)), 1U);
    }
  }
}

TEST(SlowStart, BeginsWhereAnEjectionEnds) {
  Backend backend({server("10.1.0.1:80"), server("10.1.0.2:80")});
  backend.config().slow_start = 30s;
  backend.reload();
  EXPECT_EQ(backend.shares(100)[1], 50) << "a server that has not been away has its whole share";
  backend.eject(1);
  backend.pass(10s);
  EXPECT_EQ(backend.shares(1100)[1], 100);
}

TEST(SlowStart, BeginsAtOnceWhereAConnectionToAnEjectedServerSucceeds) {
  Backend backend({server("10.1.0.1:80"), server("10.1.0.2:80")});
  backend.config().slow_start = 30s;
  backend.reload();
  backend.eject(1);
  const ServerLease lease = backend.picker().adopt("10.1.0.2:80");
  backend.picker().on_connected(lease, address("10.1.0.2:80"), backend.now());
  backend.pass(10s);
  EXPECT_EQ(backend.shares(1400)[1], 400);
}

TEST(SlowStart, GoesOnAfterAReload) {
  WarmingBackend backend;
  backend.pass(10s);
  backend.reload();
  EXPECT_EQ(backend.shares(1400)[1], 400);
  backend.config().slow_start = 0s;
  backend.reload();
  EXPECT_EQ(backend.shares(1000)[1], 500) << "the new configuration has none";
}

TEST(SlowStart, GivesTheOnlyServerEverything) {
  Backend backend({server("10.1.0.1:80")});
  backend.config().slow_start = 30s;
  backend.reload();
  backend.state(0).set_back_since(backend.now());
  EXPECT_EQ(backend.shares(20)[0], 20);
}

TEST(GroupPicker, UsesEjectedServersWhenThereAreNoOthers) {
  Backend backend(three());
  for (std::size_t i = 0; i < 3; ++i) backend.eject(i);
  EXPECT_THAT(backend.pick_indexes(3), UnorderedElementsAre(0, 1, 2));
}

TEST(GroupPicker, NeverEjectsWhereEjectionIsOff) {
  Backend backend(three());
  backend.config().ejection.failures = 0;
  backend.reload();
  const ServerLease lease = backend.picker().adopt("10.1.0.1:80");
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(backend.picker().on_failed(lease, address("10.1.0.1:80"), backend.now()),
              FailureOutcome::kCounted);
  }
}

TEST(GroupPicker, PassesOverServersThatAreFullUntilAConnectionEnds) {
  Backend backend({server("10.1.0.1:80", 1, 2), server("10.1.0.2:80", 1, 1)});
  std::vector<Choice> open;
  for (int i = 0; i < 3; ++i) open.push_back(backend.pick().value());
  EXPECT_EQ(backend.pick().error(), NoServer::kAllFull);
  open.pop_back();
  EXPECT_TRUE(backend.pick().has_value());
}

TEST(GroupPicker, HasOthersWaitForAFullServerRatherThanForOneThatKeepsFailing) {
  Backend backend({server("10.1.0.1:80", 1, 1), server("10.1.0.2:80")});
  backend.eject(1);
  const Choice taken = backend.pick().value();
  EXPECT_EQ(taken.index, 0U);
  EXPECT_EQ(backend.pick_index(), 1U) << "there is no queue, and an ejected server is better than none";
  backend.config().queue.size = 1;
  backend.reload();
  EXPECT_EQ(backend.pick().error(), NoServer::kAllFull);
  backend.eject(0);
  EXPECT_EQ(backend.pick_index(), 1U) << "no server is well";
}

TEST(GroupPicker, CallsItFullWhereOneServerWasTriedAndTheOtherHasNoPlace) {
  Backend backend({server("10.1.0.1:80", 1, 1), server("10.1.0.2:80", 1, 1)});
  const Choice taken = backend.pick().value();
  backend.fail(backend.pick().value());
  EXPECT_EQ(backend.pick().error(), NoServer::kAllFull);
}

TEST(GroupPicker, CountsPlacesOverAllWorkers) {
  Backend backend({server("10.1.0.1:80", 1, 2)});
  ServerDirectory directory;
  const auto group = BackendGroup::build(backend.config(), directory).value();
  GroupPicker one(group, nullptr, 1);
  GroupPicker two(group, nullptr, 2);
  const auto a = one.pick(source(0), {}, backend.now());
  const auto b = two.pick(source(0), {}, backend.now());
  EXPECT_EQ(one.pick(source(0), {}, backend.now()).error(), NoServer::kAllFull);
}

TEST(GroupPicker, TakesAddressesOfOneServerInTurn) {
  Backend backend({server("app.internal:80")});
  EXPECT_EQ(backend.pick().error(), NoServer::kUnresolved);
  backend.state(0).publish({address("10.2.0.1:80"), address("10.2.0.2:80")});
  const auto first = backend.pick()->address;
  const auto second = backend.pick()->address;
  EXPECT_NE(first, second);
  EXPECT_EQ(backend.pick()->address, first);
}

// "localhost" is ::1 and 127.0.0.1, and its service often listens on one of them only.
TEST(GroupPicker, TriesTheOtherAddressOfTheOnlyServerAndStaysWithIt) {
  Backend backend({server("localhost:80")});
  const Address dead = address("[::1]:80");
  backend.state(0).publish({dead, address("127.0.0.1:80")});
  auto choice = backend.pick();
  while (choice->address != dead) choice = backend.pick();
  backend.fail(*std::move(choice));
  EXPECT_EQ(backend.pick()->address, address("127.0.0.1:80"));
  backend.next_connection();
  for (int i = 0; i < 4; ++i) EXPECT_EQ(backend.pick()->address, address("127.0.0.1:80"));
  backend.pass(11s);
  EXPECT_THAT((std::vector{backend.pick()->address, backend.pick()->address}), testing::Contains(dead));
}

TEST(GroupPicker, TurnsToTheOtherFamilyOfAServerOnce) {
  Backend backend({server("localhost:80")});
  const Address v6 = address("[::1]:80");
  const Address v4 = address("127.0.0.1:80");
  backend.state(0).publish({v6, address("[::2]:80"), v4, address("127.0.0.2:80")});
  Choice choice = backend.pick().value();
  while (choice.address != v6) choice = backend.pick().value();
  ASSERT_TRUE(backend.picker().turn_to_other_family(choice, {}, backend.now()));
  EXPECT_EQ(choice.address, v4);
  EXPECT_TRUE(choice.lease);
  const std::vector<Tried> tried{{0, v6}};
  EXPECT_FALSE(backend.picker().turn_to_other_family(choice, tried, backend.now()));
  EXPECT_EQ(choice.address, v4);
  for (int i = 0; i < 6; ++i) EXPECT_NE(backend.pick()->address, v6) << "avoided";
}

TEST(GroupPicker, HasNoOtherFamilyOfAServerWhoseAddressesAreOfOne) {
  Backend backend({server("app.internal:80"), server("127.0.0.1:80")});
  backend.state(0).publish({address("10.2.0.1:80"), address("10.2.0.2:80")});
  for (int i = 0; i < 4; ++i) {
    Choice choice = backend.pick().value();
    EXPECT_FALSE(backend.picker().turn_to_other_family(choice, {}, backend.now()));
  }
}

TEST(GroupPicker, TriesAnAvoidedAddressWhenThereIsNoOther) {
  Backend backend({server("localhost:80")});
  backend.state(0).publish({address("[::1]:80"), address("127.0.0.1:80")});
  backend.fail(backend.pick().value());
  backend.fail(backend.pick().value());
  EXPECT_EQ(backend.pick().error(), NoServer::kAllTried);
  backend.next_connection();
  EXPECT_TRUE(backend.pick().has_value());
}

TEST(GroupPicker, KeepsAllAddressesOfASourceTogether) {
  Backend backend({server("app.internal:80")}, config::Balance::kSourceHash);
  backend.state(0).publish({address("10.2.0.1:80"), address("10.2.0.2:80"), address("10.2.0.3:80")});
  for (int i = 0; i < 20; ++i) EXPECT_EQ(backend.pick(source(i))->address, backend.pick(source(i))->address);
}

/// One server of the addresses of a service: two of priority 10 with weights 3 and 1, and one of 20.
class ServiceBackend : public Backend {
 public:
  explicit ServiceBackend(config::Balance balance = config::Balance::kRoundRobin)
      : Backend({server("srv:_pg._tcp.example.com")}, balance) {
    state(0).publish({{last, 20, 16}, {heavy, 10, 48}, {light, 10, 16}});
  }
  std::map<std::string, int> addresses(int count) {
    std::map<std::string, int> shares;
    for (int i = 0; i < count; ++i) ++shares[pick(source(i))->address.text()];
    return shares;
  }
  /// Lets the connections to an address fail.
  void lose(const Address& lost) {
    static_cast<void>(pick());  // a connection fails at an address that was picked
    const ServerLease lease = picker().adopt("srv:_pg._tcp.example.com");
    picker().on_failed(lease, lost, now());
  }

  const Address heavy = address("10.3.0.1:5432"), light = address("10.3.0.2:5433"),
                last = address("10.3.0.3:5434");
};

TEST(GroupPicker, TakesTheAddressesOfTheLowestPriorityByTheirWeights) {
  ServiceBackend backend;
  EXPECT_THAT(backend.addresses(400),
              UnorderedElementsAre(testing::Pair("10.3.0.1:5432", 300), testing::Pair("10.3.0.2:5433", 100)));
}

TEST(GroupPicker, TakesTheNextPriorityWhereNoAddressOfALowerOneCanBeReached) {
  ServiceBackend backend;
  backend.lose(backend.heavy);
  EXPECT_THAT(backend.addresses(10), ElementsAre(testing::Pair("10.3.0.2:5433", 10)));
  backend.lose(backend.light);
  EXPECT_THAT(backend.addresses(10), ElementsAre(testing::Pair("10.3.0.3:5434", 10)));
  backend.pass(11s);
  EXPECT_FALSE(backend.addresses(10).contains("10.3.0.3:5434"));
}

TEST(GroupPicker, TriesEveryAddressOfAServiceByPriorityForOneConnection) {
  ServiceBackend backend;
  std::vector<Address> tried;
  for (int i = 0; i < 3; ++i) {
    auto choice = backend.pick().value();
    tried.push_back(choice.address);
    backend.fail(std::move(choice));
  }
  EXPECT_THAT((std::vector(tried.begin(), tried.begin() + 2)),
              UnorderedElementsAre(backend.heavy, backend.light));
  EXPECT_EQ(tried[2], backend.last);
  EXPECT_EQ(backend.pick().error(), NoServer::kAllTried);
}

TEST(GroupPicker, SpreadsSourcesOverTheAddressesOfAServiceByTheirWeights) {
  ServiceBackend backend(config::Balance::kSourceHash);
  auto shares = backend.addresses(2000);
  EXPECT_NEAR(shares["10.3.0.1:5432"], 1500, 100);
  EXPECT_NEAR(shares["10.3.0.2:5433"], 500, 100);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(backend.pick(source(i))->address, backend.pick(source(i))->address);
}

TEST(GroupPicker, KnowsWhatItKnewAfterAReload) {
  Backend backend(three(), config::Balance::kLeastConnections);
  backend.eject(2);
  const Choice open = backend.pick().value();
  backend.config().servers.insert(backend.config().servers.begin(), server("10.1.0.9:80"));
  backend.reload();
  EXPECT_EQ(backend.picker().counters(open.index + 1).active, 1U);
  const auto indexes = backend.pick_indexes(20);
  EXPECT_EQ(std::count(indexes.begin(), indexes.end(), 3U), 0);
}

TEST(ServerLease, OutlivesItsPickerAndItsServersPlaceInTheConfiguration) {
  Backend backend({server("10.1.0.1:80", 1, 1), server("10.1.0.2:80", 0)});
  ServerLease lease = std::move(backend.pick()->lease);
  backend.config().servers.erase(backend.config().servers.begin());
  backend.reload();
  EXPECT_EQ(lease.server().label(), "10.1.0.1:80");
  EXPECT_EQ(lease.server().places_taken(), 1U);
  lease = {};
  EXPECT_FALSE(lease);
}

TEST(ServerLease, ReturnsItsPlaceOnceThoughItMoves) {
  Backend backend({server("10.1.0.1:80", 1, 5)});
  {
    ServerLease first = std::move(backend.pick()->lease);
    ServerLease second = std::move(first);
    first = std::move(backend.pick()->lease);
    EXPECT_EQ(backend.state(0).places_taken(), 2U);
    EXPECT_EQ(backend.picker().counters(0).active, 2U);
    second = std::move(first);
    EXPECT_EQ(backend.state(0).places_taken(), 1U);
  }
  EXPECT_EQ(backend.state(0).places_taken(), 0U);
  EXPECT_EQ(backend.picker().counters(0).active, 0U);
}

TEST(ServerLease, IsGivenToAConnectionThatExistsAlready) {
  Backend backend({server("10.1.0.1:80", 1, 1)});
  const ServerLease first = backend.picker().adopt("10.1.0.1:80");
  const ServerLease second = backend.picker().adopt("10.1.0.1:80");
  EXPECT_TRUE(first);
  EXPECT_TRUE(second);
  EXPECT_EQ(backend.state(0).places_taken(), 2U);
  EXPECT_EQ(backend.pick().error(), NoServer::kAllFull);
  EXPECT_FALSE(backend.picker().adopt("10.1.0.7:80"));
}

TEST(BackendGroup, NamesTheBackendWhoseServerCannotBeParsed) {
  ServerDirectory directory;
  config::Backend config;
  config.name = "app";
  config.servers = {server("nowhere")};
  const auto group = BackendGroup::build(config, directory);
  ASSERT_FALSE(group.has_value());
  EXPECT_THAT(group.error().what, testing::StartsWith("backend app: "));
}

}  // namespace
}  // namespace headgate
