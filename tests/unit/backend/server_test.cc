#include "backend/server.h"

#include <memory>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace headgate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Address parsed(std::string_view text) {
  return Address::parse(text).value();
}

TEST(ServerEndpoint, IsAnAddressOrAHostName) {
  EXPECT_EQ(ServerEndpoint::parse("192.0.2.1:80")->literal, parsed("192.0.2.1:80"));
  EXPECT_EQ(ServerEndpoint::parse("[2001:db8::1]:80")->literal, parsed("[2001:db8::1]:80"));
  EXPECT_EQ(ServerEndpoint::parse("unix:/run/a.sock")->literal, parsed("unix:/run/a.sock"));
  const auto named = ServerEndpoint::parse("app_1.internal:8080");
  ASSERT_TRUE(named.has_value());
  EXPECT_FALSE(named->literal.has_value());
  EXPECT_EQ(named->host, "app_1.internal");
  EXPECT_EQ(named->port, 8080);
}

TEST(ServerEndpoint, IsVerifiedByItsHostNameOrItsAddress) {
  EXPECT_EQ(ServerEndpoint::parse("app.internal:8080")->name(), "app.internal");
  EXPECT_EQ(ServerEndpoint::parse("192.0.2.1:80")->name(), "192.0.2.1");
  EXPECT_EQ(ServerEndpoint::parse("[2001:db8::1]:80")->name(), "2001:db8::1");
  EXPECT_EQ(ServerEndpoint::parse("unix:/run/a.sock")->name(), "");
}

TEST(ServerEndpoint, IsAServiceWhosePortTheNameServerKnows) {
  for (const auto name : {"_pg._tcp.example.com", "db.service.consul", "_pg._tcp.example.com."}) {
    const auto service = ServerEndpoint::parse(std::string("srv:") + name);
    ASSERT_TRUE(service.has_value()) << service.error().what;
    EXPECT_FALSE(service->literal.has_value());
    EXPECT_EQ(service->service, name);
    EXPECT_EQ(service->host, "");
    EXPECT_EQ(service->name_to_resolve(), std::string("srv:") + name);
  }
  EXPECT_EQ(ServerEndpoint::parse("srv:8080")->host, "srv") << "a host may be called so";
  EXPECT_EQ(ServerEndpoint::parse("app.internal.:80")->host, "app.internal.");
  for (const auto text : {"srv:", "srv:a b", "srv:_pg._tcp.example.com:5432"})
    EXPECT_FALSE(ServerEndpoint::parse(text).has_value()) << text;
}

TEST(ServerEndpoint, RefusesWhatCannotBeConnectedTo) {
  for (const auto text : {"", "app", "app:", "app:0", "app:65536", "app:http", ":8080", "192.0.2.1:0",
                          "10.0.0:80", "192.0.2.256:80", "a b:80", "unix:", "[::1]"}) {
    const auto endpoint = ServerEndpoint::parse(text);
    ASSERT_FALSE(endpoint.has_value()) << text;
    EXPECT_EQ(endpoint.error().kind, ErrorKind::kInvalid);
    EXPECT_THAT(endpoint.error().what, HasSubstr('"' + std::string(text) + '"'));
  }
}

TEST(ServerState, HasTheAddressItIsConfiguredWithFromTheStart) {
  ServerDirectory directory;
  const auto state = directory.state("app", "192.0.2.1:80").value();
  EXPECT_THAT(*state->addresses(), ElementsAre(parsed("192.0.2.1:80")));
  EXPECT_TRUE(state->is_up());
}

TEST(ServerState, TheSameAddressesInAnotherOrderAreNoChange) {
  ServerDirectory directory;
  const auto state = directory.state("app", "app.internal:80").value();
  state->publish({parsed("192.0.2.1:80"), parsed("192.0.2.2:80")});
  const auto version = state->addresses_version();
  state->publish({parsed("192.0.2.2:80"), parsed("192.0.2.1:80")});
  EXPECT_EQ(state->addresses_version(), version);
  state->publish({parsed("192.0.2.2:80")});
  EXPECT_NE(state->addresses_version(), version);
}

TEST(ServerState, GivesOutAsManyPlacesAsThereAre) {
  ServerDirectory directory;
  const auto state = directory.state("app", "192.0.2.1:80").value();
  EXPECT_TRUE(state->take_place(2));
  EXPECT_TRUE(state->take_place(2));
  EXPECT_FALSE(state->take_place(2));
  state->give_place_back();
  EXPECT_TRUE(state->take_place(2));
}

TEST(ServerDirectory, FindsTheStateOfTheSameBackendAndServerAgain) {
  ServerDirectory directory;
  const auto state = directory.state("app", "192.0.2.1:80").value();
  EXPECT_EQ(directory.state("app", "192.0.2.1:80").value(), state);
  EXPECT_NE(directory.state("api", "192.0.2.1:80").value(), state);
  EXPECT_NE(directory.state("app", "192.0.2.1:81").value(), state);
}

TEST(ServerDirectory, ForgetsServersThatNobodyUses) {
  ServerDirectory directory;
  directory.state("app", "app.internal:80").value()->set_condition({.up = false});
  EXPECT_THAT(directory.all(), IsEmpty());
  EXPECT_THAT(directory.names_to_resolve(), IsEmpty());
  EXPECT_TRUE(directory.state("app", "app.internal:80").value()->is_up());
}

TEST(ServerDirectory, PublishesTheAddressesOfAServiceWithTheirPorts) {
  ServerDirectory directory;
  const auto service = directory.state("app", "srv:_pg._tcp.example.com").value();
  const auto host = directory.state("app", "_pg._tcp.example.com:80").value();
  EXPECT_THAT(directory.names_to_resolve(), ElementsAre("_pg._tcp.example.com", "srv:_pg._tcp.example.com"));
  const ResolvedAddress first(parsed("192.0.2.1:5432"), 10, 3), second(parsed("192.0.2.2:5433"), 20, 1);
  directory.publish("srv:_pg._tcp.example.com", {first, second});
  EXPECT_THAT(*service->addresses(), ElementsAre(first, second));
  EXPECT_THAT(*host->addresses(), IsEmpty());
}

TEST(ServerDirectory, PublishesAnAnswerToEveryServerOfThatNameWithItsOwnPort) {
  ServerDirectory directory;
  const auto a = directory.state("app", "app.internal:80").value();
  const auto b = directory.state("api", "app.internal:81").value();
  const auto c = directory.state("api", "other.internal:81").value();
  EXPECT_THAT(directory.names_to_resolve(), ElementsAre("app.internal", "other.internal"));
  directory.publish("app.internal", {parsed("192.0.2.1:0")});
  EXPECT_THAT(*a->addresses(), ElementsAre(parsed("192.0.2.1:80")));
  EXPECT_THAT(*b->addresses(), ElementsAre(parsed("192.0.2.1:81")));
  EXPECT_THAT(*c->addresses(), IsEmpty());
}

}  // namespace
}  // namespace headgate
