#include "snapshot/route_table.h"

#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace headgate {
namespace {

config::Route route(std::vector<std::string> sni, std::string backend) {
  config::Route result;
  result.sni = std::move(sni);
  result.backend = std::move(backend);
  return result;
}

config::Listener listener(std::vector<config::Route> routes, std::string backend = "") {
  config::Listener result;
  result.routes = std::move(routes);
  result.backend = std::move(backend);
  return result;
}

std::string backend_of(const RouteTable& table, std::string_view sni) {
  return std::string(table.route({.sni = sni}).backend);
}

TEST(RouteTable, TheFirstRouteThatMatchesWins) {
  const RouteTable table(listener({route({"*.example.com"}, "wild"), route({"api.example.com"}, "exact")}));
  EXPECT_EQ(backend_of(table, "api.example.com"), "wild");
  const RouteTable other(listener({route({"api.example.com"}, "exact"), route({"*.example.com"}, "wild")}));
  EXPECT_EQ(backend_of(other, "api.example.com"), "exact");
  EXPECT_EQ(backend_of(other, "www.example.com"), "wild");
}

TEST(RouteTable, WhatNoRouteTakesGoesToTheListenersBackend) {
  const RouteTable table(listener({route({"a.test"}, "a")}, "rest"));
  const auto decision = table.route({.sni = "b.test"});
  EXPECT_EQ(decision.backend, "rest");
  EXPECT_FALSE(decision.route.has_value());
}

TEST(RouteTable, WithoutABackendOfTheListenerTheRestIsRefused) {
  EXPECT_EQ(backend_of(RouteTable(listener({route({"a.test"}, "a")})), "b.test"), "");
}

TEST(RouteTable, AWildcardIsOneLabelUnderItsNameAndNotTheNameItself) {
  const RouteTable table(listener({route({"*.example.com"}, "wild")}, "rest"));
  EXPECT_EQ(backend_of(table, "a.example.com"), "wild");
  EXPECT_EQ(backend_of(table, "a.b.example.com"), "rest");
  EXPECT_EQ(backend_of(table, "a.b.c.example.com"), "rest");
  EXPECT_EQ(backend_of(table, "example.com"), "rest");
  EXPECT_EQ(backend_of(table, "badexample.com"), "rest");
  EXPECT_EQ(backend_of(table, ".example.com"), "rest");
}

TEST(RouteTable, NamesAreComparedWithoutCaseAndFinalDot) {
  const RouteTable table(listener({route({"API.Example.com."}, "api")}, "rest"));
  EXPECT_EQ(backend_of(table, "api.EXAMPLE.COM"), "api");
  EXPECT_EQ(backend_of(table, "api.example.com."), "api");
}

TEST(RouteTable, AStarAloneIsEveryClientAlsoOneThatSendsNoName) {
  const RouteTable table(
      listener({route({"a.test"}, "a"), route({"*", "b.test"}, "all"), route({"b.test"}, "b")}));
  EXPECT_EQ(backend_of(table, "a.test"), "a");
  EXPECT_EQ(backend_of(table, "b.test"), "all");
  EXPECT_EQ(backend_of(table, "anything"), "all");
  EXPECT_EQ(backend_of(table, ""), "all");
}

TEST(RouteTable, AStarIsTheDefaultOfPassthrough) {
  config::Route named = route({"a.test"}, "a"), rest = route({"*"}, "rest");
  named.passthrough = rest.passthrough = true;
  const RouteTable table(listener({named, rest}));
  EXPECT_EQ(table.passthrough({.sni = "a.test"})->backend, "a");
  EXPECT_EQ(table.passthrough({.sni = "other.test"})->backend, "rest");
  EXPECT_EQ(table.passthrough({.sni = ""})->backend, "rest");
}

TEST(RouteTable, ARouteWithoutConditionsTakesEverything) {
  const RouteTable table(listener({route({"a.test"}, "a"), route({}, "all"), route({"b.test"}, "b")}));
  EXPECT_EQ(backend_of(table, "a.test"), "a");
  EXPECT_EQ(backend_of(table, "b.test"), "all");
  EXPECT_EQ(backend_of(table, ""), "all");
}

TEST(RouteTable, AllConditionsMustHold) {
  config::Route narrow = route({"a.test"}, "narrow");
  narrow.alpn = {"h2"};
  narrow.spiffe = {"spiffe://prod/*"};
  const RouteTable table(listener({narrow}, "rest"));
  const std::vector<std::string> ids{"spiffe://prod/web"};
  const std::vector<std::string> others{"spiffe://test/web", "spiffe://prod/ns/web"};
  EXPECT_EQ(table.route({"a.test", "h2", ids}).backend, "narrow");
  EXPECT_EQ(table.route({"b.test", "h2", ids}).backend, "rest");
  EXPECT_EQ(table.route({"a.test", "http/1.1", ids}).backend, "rest");
  EXPECT_EQ(table.route({"a.test", "h2", others}).backend, "rest");
  EXPECT_EQ(table.route({"a.test", "h2", {}}).backend, "rest");
  EXPECT_EQ(table.evaluate(0, {"a.test", "h2", ids}), RouteMatch::kMatches);
  EXPECT_EQ(table.evaluate(0, {"b.test", "h2", ids}), RouteMatch::kOtherSni);
  EXPECT_EQ(table.evaluate(0, {"a.test", "", ids}), RouteMatch::kOtherAlpn);
  EXPECT_EQ(table.evaluate(0, {"a.test", "h2", others}), RouteMatch::kOtherSpiffe);
}

TEST(RouteTable, AsksForThePrivateLinkOfTheProxyHeader) {
  config::Route linked = route({}, "linked");
  linked.aws_vpc_endpoint = {"vpce-1", "vpce-2"};
  linked.azure_private_link = {"7"};
  const RouteTable table(listener({linked}, "rest"));
  PrivateLink link{.aws_vpc_endpoint = "vpce-2", .azure_private_link = "7", .gcp_psc_connection = {}};
  EXPECT_EQ(table.route({.link = &link}).backend, "linked");
  link.azure_private_link = "8";
  EXPECT_EQ(table.route({.link = &link}).backend, "rest");
  EXPECT_EQ(table.evaluate(0, {.link = &link}), RouteMatch::kOtherPrivateLink);
  EXPECT_EQ(table.route({}).backend, "rest");
  EXPECT_EQ(table.evaluate(0, {}), RouteMatch::kOtherVpcEndpoint);
}

TEST(RouteTable, PassthroughIsDecidedByTheClientHelloAlone) {
  config::Route legacy = route({"legacy.test"}, "legacy");
  legacy.passthrough = true;
  const RouteTable table(listener({legacy}, "rest"));
  EXPECT_TRUE(table.has_passthrough());
  const auto decision = table.passthrough({.sni = "LEGACY.test"});
  ASSERT_TRUE(decision.has_value());
  EXPECT_TRUE(decision->passthrough);
  EXPECT_EQ(decision->backend, "legacy");
  EXPECT_FALSE(table.passthrough({.sni = "other.test"}).has_value());
  // Terminated for another reason, a connection cannot be passed through any more.
  EXPECT_EQ(backend_of(table, "legacy.test"), "rest");
}

TEST(RouteTable, ARouteThatTerminatesBeforeItKeepsAConnectionFromPassthrough) {
  config::Route terminating = route({"a.test"}, "ours");
  terminating.alpn = {"h2"};
  config::Route through = route({"*.test"}, "theirs");
  through.passthrough = true;
  const RouteTable table(listener({terminating, through}));
  const std::vector<std::string_view> with_h2{"http/1.1", "h2"};
  const std::vector<std::string_view> without{"http/1.1"};
  EXPECT_FALSE(table.passthrough({"a.test", with_h2}).has_value());
  EXPECT_TRUE(table.passthrough({"a.test", without}).has_value());
  EXPECT_TRUE(table.passthrough({"b.test", with_h2}).has_value());
}

TEST(RouteTable, HostileNamesMatchNothingButStars) {
  const RouteTable table(listener({route({"*.test", "a.test"}, "a")}, "rest"));
  for (const std::string& sni :
       {std::string(255, '.'), std::string(5000, 'a') + ".test", std::string("a..test"),
        std::string("a\0.test", 7).substr(0, 2), std::string(".")}) {
    EXPECT_EQ(backend_of(table, sni), "rest") << sni;
  }
  std::string deep;
  for (int i = 0; i < 125; ++i) deep += "x.";
  EXPECT_EQ(backend_of(table, deep + "test"), "rest");
  EXPECT_EQ(backend_of(table, std::string(63, 'x') + ".test"), "a");
}

TEST(RouteTable, AgreesWithGoingThroughTheRoutesOneByOne) {
  std::minstd_rand random(7);
  const auto label = [&] { return std::string(1, static_cast<char>('a' + random() % 3)); };
  for (int round = 0; round < 200; ++round) {
    std::vector<config::Route> routes;
    for (int i = 0; i < 12; ++i) {
      std::string pattern = label() + '.' + label();
      if (random() % 3 == 0) pattern = "*." + label();
      if (random() % 12 == 0) pattern = "*";
      config::Route next = route({pattern, label() + ".c"}, std::to_string(i));
      if (random() % 3 == 0) next.alpn = {"h2"};
      routes.push_back(next);
    }
    const RouteTable table(listener(routes, "rest"));
    for (int asked = 0; asked < 20; ++asked) {
      std::string sni = (random() % 2 == 0 ? label() + '.' : "") + label() + '.' + label();
      if (random() % 8 == 0) sni.clear();
      const RouteQuestion question{.sni = sni, .alpn = random() % 2 == 0 ? "h2" : ""};
      std::string expected = "rest";
      for (std::size_t i = routes.size(); i-- > 0;) {
        if (table.evaluate(i, question) == RouteMatch::kMatches) expected = routes[i].backend;
      }
      EXPECT_EQ(table.route(question).backend, expected) << sni;
    }
  }
}

}  // namespace
}  // namespace headgate
