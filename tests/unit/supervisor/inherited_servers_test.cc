#include "supervisor/inherited_servers.h"

#include <memory>

#include <gtest/gtest.h>

namespace headgate {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kNow{1000s};

std::shared_ptr<const Snapshot> snapshot_of(const std::vector<std::string>& servers) {
  config::Config config;
  config::Backend& backend = config.backends["app"];
  backend.name = "app";
  for (const std::string& server : servers) backend.servers.push_back({.address = server});
  ServerDirectory directory;
  Diagnostics faults;
  return Snapshot::build(config, {}, directory, std::chrono::system_clock::now(), faults);
}

ProcessState state_of(const std::string& server, std::chrono::milliseconds back_for) {
  ProcessState state;
  state.backends = {{.name = "app", .servers = {{.address = server, .back_for = back_for}}}};
  return state;
}

TEST(InheritedServers, AreBackForAsLongAsTheyWereInTheProcessBefore) {
  const auto snapshot = snapshot_of({"127.0.0.1:1", "unix:/run/my app.sock"});
  const auto& servers = snapshot->backends.at("app").group->servers;
  inherit_servers(servers_to_leave(state_of("unix:/run/my app.sock", 2500ms)), *snapshot, kNow);
  EXPECT_EQ(servers[0].state->back_since(), TimePoint::min());
  EXPECT_EQ(servers[1].state->back_since(), kNow - 2500ms);
}

TEST(InheritedServers, AreNotThoseThatHaveNotBeenAwayOrHaveGone) {
  ProcessState state = state_of("127.0.0.1:1", 5ms);
  state.backends[0].servers[0].back_for.reset();
  EXPECT_TRUE(servers_to_leave(state).empty());
  const auto snapshot = snapshot_of({"127.0.0.1:1"});
  inherit_servers(servers_to_leave(state_of("127.0.0.1:2", 5ms)), *snapshot, kNow);
  EXPECT_EQ(snapshot->backends.at("app").group->servers[0].state->back_since(), TimePoint::min());
}

TEST(InheritedServers, SkipLinesThatSayNothing) {
  const auto snapshot = snapshot_of({"127.0.0.1:1"});
  inherit_servers({"", "accepted 3 web", "server_back for=", "server_back for=5", "server_back for=5 app",
                   "server_back for=-5 app 127.0.0.1:1", "server_back for=99999999999999 app 127.0.0.1:1",
                   "server_back for=5 other 127.0.0.1:1"},
                  *snapshot, kNow);
  EXPECT_EQ(snapshot->backends.at("app").group->servers[0].state->back_since(), TimePoint::min());
}

}  // namespace
}  // namespace headgate
