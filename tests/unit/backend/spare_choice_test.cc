#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "backend/group.h"

namespace headgate {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::UnorderedElementsAre;

/// A backend with the picker of one worker, which holds spares as a pool would.
class SpareChoiceTest : public testing::Test {
 protected:
  void build(std::vector<config::Server> servers, config::Balance balance = config::Balance::kRoundRobin) {
    config_.name = "app";
    config_.servers = std::move(servers);
    config_.balance = balance;
    config_.ejection = {.failures = 1, .for_time = 10s};
    group_ = BackendGroup::build(config_, directory_).value();
    picker_ = std::make_unique<GroupPicker>(group_, nullptr, 3);
    held_.assign(config_.servers.size(), {});
  }
  /// Makes spares until there are `wanted`; returns the servers that got the new ones.
  std::vector<std::size_t> fill(std::uint32_t wanted) {
    std::vector<std::size_t> made;
    while (std::uint32_t(total()) < wanted) {
      const auto choice = picker_->choose_for_spare(held_, wanted, now_);
      if (!choice || !picker_->take_place_for_spare(choice->index)) break;
      ++held_[choice->index].held;
      picker_->spares(choice->index).ready.push_back(choice->address);
      made.push_back(choice->index);
    }
    return made;
  }
  [[nodiscard]] int total() const {
    int sum = 0;
    for (const SpareCount& one : held_) sum += static_cast<int>(one.held);
    return sum;
  }
  /// Whether the next client gets a spare, which it uses.
  bool next_client_gets_one() {
    last_ = picker_->pick(source_, {}, now_).value();
    auto& ready = picker_->spares(last_.index).ready;
    const auto found = std::ranges::find(ready, last_.address);
    if (found == ready.end()) return false;
    ready.erase(found);
    --held_[last_.index].held;
    return true;
  }
  ServerState& state(std::size_t i) { return *group_->servers[i].state; }

  config::Backend config_;
  ServerDirectory directory_;
  std::shared_ptr<const BackendGroup> group_;
  std::unique_ptr<GroupPicker> picker_;
  std::vector<SpareCount> held_;
  Choice last_;
  Address source_ = *Address::parse("192.0.2.1:1");
  TimePoint now_{1000s};
};

config::Server spare_server(const char* address, std::uint32_t weight = 1, std::uint32_t most = 0) {
  return {address, weight, most};
}

TEST_F(SpareChoiceTest, FollowsTheTurnsSoThatEachClientFindsOne) {
  build({spare_server("10.0.0.1:1", 5), spare_server("10.0.0.2:1"), spare_server("10.0.0.3:1")});
  std::map<std::size_t, int> shares;
  for (int client = 0; client < 70; ++client) {
    fill(1);
    EXPECT_TRUE(next_client_gets_one());
    ++shares[last_.index];
  }
  EXPECT_EQ(shares, (std::map<std::size_t, int>{{0, 50}, {1, 10}, {2, 10}})) << "as without spares";
}

TEST_F(SpareChoiceTest, ComesBackToTheTurnsAfterABurst) {
  build({spare_server("10.0.0.1:1"), spare_server("10.0.0.2:1"), spare_server("10.0.0.3:1")});
  fill(2);
  int misses = 0;
  for (int client = 0; client < 20; ++client) misses += next_client_gets_one() ? 0 : 1;
  EXPECT_EQ(misses, 18);
  fill(2);
  misses = 0;
  for (int client = 0; client < 20; ++client) {
    misses += next_client_gets_one() ? 0 : 1;
    fill(2);
  }
  EXPECT_EQ(misses, 0);
}

TEST_F(SpareChoiceTest, SpreadsThemByLoadWhereTheLeastLoadedServerIsNext) {
  build({spare_server("10.0.0.1:1", 2), spare_server("10.0.0.2:1"), spare_server("10.0.0.3:1")},
        config::Balance::kLeastConnections);
  const auto made = fill(4);
  EXPECT_EQ(std::ranges::count(made, 0U), 2);
  EXPECT_EQ(std::ranges::count(made, 1U), 1);
  std::vector<ServerLease> open;
  for (int i = 0; i < 4; ++i) {
    EXPECT_TRUE(next_client_gets_one()) << i << ": among servers of the same load one with a spare is chosen";
    open.push_back(std::move(last_.lease));
  }
}

TEST_F(SpareChoiceTest, SpreadsThemByWeightWhereTheSourceDecides) {
  build({spare_server("10.0.0.1:1", 3), spare_server("10.0.0.2:1")}, config::Balance::kSourceHash);
  EXPECT_THAT(fill(4), UnorderedElementsAre(0, 0, 0, 1));
}

TEST_F(SpareChoiceTest, MakesNoneToServersThatAreDownEjectedEmptiedPausedOrUnresolved) {
  build({spare_server("10.0.0.1:1"), spare_server("10.0.0.2:1"), spare_server("10.0.0.3:1", 0),
         spare_server("10.0.0.4:1"), spare_server("not-resolved.example:1"), spare_server("10.0.0.6:1")});
  state(0).set_condition({.up = false});
  const auto lease = picker_->adopt("10.0.0.2:1");
  EXPECT_EQ(picker_->on_failed(lease, *Address::parse("10.0.0.2:1"), now_), FailureOutcome::kEjected);
  held_[3].may_grow = false;
  EXPECT_THAT(fill(3), ElementsAre(5, 5, 5));
  now_ += 11s;
  EXPECT_TRUE(picker_->may_have_spares(1, now_));
  EXPECT_FALSE(picker_->may_have_spares(0, now_));
  EXPECT_FALSE(picker_->may_have_spares(2, now_));
}

TEST_F(SpareChoiceTest, MakesNoneWhereNoServerMayHaveOne) {
  build({spare_server("10.0.0.1:1")});
  state(0).set_condition({.up = false});
  EXPECT_THAT(fill(3), ElementsAre());
}

TEST_F(SpareChoiceTest, GivesTheAddressesOfANameTheirTurnsWithSparesAndWithout) {
  build({spare_server("name.example:80")});
  directory_.publish("name.example", {*Address::parse("10.0.0.1:0"), *Address::parse("10.0.0.2:0")});
  std::map<std::string, int> shares;
  for (int client = 0; client < 20; ++client) {
    if (client % 2 == 0) fill(1);
    EXPECT_EQ(next_client_gets_one(), client % 2 == 0);
    ++shares[last_.address.text()];
  }
  EXPECT_EQ(shares, (std::map<std::string, int>{{"10.0.0.1:80", 10}, {"10.0.0.2:80", 10}}));
  EXPECT_TRUE(picker_->has_address(0, *Address::parse("10.0.0.1:80")));
  EXPECT_FALSE(picker_->has_address(0, *Address::parse("10.0.0.3:80")));
}

TEST_F(SpareChoiceTest, TheClientGetsThePlaceOfASpareWhenTheServerIsFull) {
  build({spare_server("10.0.0.1:1", 1, 2)});
  EXPECT_THAT(fill(5), ElementsAre(0, 0)) << "there are two places";
  EXPECT_EQ(state(0).places_taken(), 2U);
  EXPECT_EQ(picker_->places_of_spares(), 2U);
  EXPECT_TRUE(next_client_gets_one());
  const Choice first = std::move(last_);
  EXPECT_EQ(state(0).places_taken(), 2U);
  EXPECT_EQ(picker_->places_of_spares(), 1U);
  EXPECT_TRUE(next_client_gets_one());
  EXPECT_EQ(picker_->pick(source_, {}, now_).error(), NoServer::kAllFull);
}

TEST_F(SpareChoiceTest, PlacesOfSparesThatEndAreFree) {
  build({spare_server("10.0.0.1:1", 1, 2)});
  fill(2);
  picker_->keep_places_of_spares(0, 0);
  EXPECT_EQ(state(0).places_taken(), 0U);
  EXPECT_EQ(picker_->places_of_spares(), 0U);
}

TEST_F(SpareChoiceTest, AnotherWorkerFindsNoPlaceWhereSparesHaveThemAll) {
  build({spare_server("10.0.0.1:1", 1, 1)});
  fill(1);
  GroupPicker other(group_, nullptr, 4);
  EXPECT_EQ(other.pick(source_, {}, now_).error(), NoServer::kAllFull);
  EXPECT_EQ(other.places_of_spares(), 1U) << "but knows whom to ask";
}

TEST_F(SpareChoiceTest, PlacesToComeAreThoseOfSparesAndTheFreeOnesAtServersThatMayBeTried) {
  build({spare_server("10.0.0.1:1", 1, 3), spare_server("10.0.0.2:1", 1, 2)});
  EXPECT_EQ(picker_->places_to_come({}, now_), 5U);
  fill(2);
  EXPECT_EQ(picker_->places_to_come({}, now_), 5U) << "a spare gives its place up";
  EXPECT_TRUE(next_client_gets_one());
  const Choice client = std::move(last_);
  EXPECT_EQ(picker_->places_to_come({}, now_), 4U);
  const std::vector<Tried> tried{{1, *Address::parse("10.0.0.2:1")}};
  EXPECT_EQ(picker_->places_to_come(tried, now_), client.index == 0 ? 2U : 3U);
  state(0).set_condition({.up = false, .why = "refused"});
  EXPECT_EQ(picker_->places_to_come(tried, now_), 0U);
}

TEST_F(SpareChoiceTest, OneWorkerTellsThatAServerSpeaksFirst) {
  build({spare_server("10.0.0.1:1")});
  EXPECT_FALSE(state(0).speaks_first(1));
  EXPECT_TRUE(state(0).found_to_speak_first(3));
  EXPECT_FALSE(state(0).found_to_speak_first(3));
  EXPECT_TRUE(state(0).speaks_first(3));
  EXPECT_FALSE(state(0).speaks_first(4)) << "a later configuration tries it anew";
}

}  // namespace
}  // namespace headgate
