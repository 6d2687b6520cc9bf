#include "snapshot/access_rules.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace headgate {
namespace {

Address ip(std::string_view text) {
  return Address::from_ip(text, 40000).value();
}

std::vector<Network> networks(std::initializer_list<std::string_view> texts) {
  std::vector<Network> result;
  for (const auto text : texts) result.push_back(Network::parse(text).value());
  return result;
}

Access evaluate(std::initializer_list<std::string_view> allow, std::initializer_list<std::string_view> deny,
                const Address& source) {
  return AccessRules(networks(allow), networks(deny)).evaluate(source);
}

TEST(AccessRules, WithoutListsEveryoneMayConnect) {
  EXPECT_EQ(evaluate({}, {}, ip("192.0.2.1")), Access::kAllowed);
  EXPECT_EQ(evaluate({}, {}, Address::parse("unix:/run/a.sock").value()), Access::kAllowed);
}

TEST(AccessRules, AnAllowListKeepsOutWhoIsNotInIt) {
  EXPECT_EQ(evaluate({"10.0.0.0/8"}, {}, ip("10.255.255.255")), Access::kAllowed);
  EXPECT_EQ(evaluate({"10.0.0.0/8"}, {}, ip("11.0.0.0")), Access::kNotListed);
  EXPECT_EQ(evaluate({"10.0.0.0/8"}, {}, ip("2001:db8::1")), Access::kNotListed);
}

TEST(AccessRules, DenyWinsWhicheverListIsNarrower) {
  EXPECT_EQ(evaluate({"10.0.0.0/8"}, {"10.1.0.0/16"}, ip("10.1.2.3")), Access::kDenied);
  EXPECT_EQ(evaluate({"10.1.2.3/32"}, {"10.0.0.0/8"}, ip("10.1.2.3")), Access::kDenied);
  EXPECT_EQ(evaluate({}, {"10.0.0.0/8"}, ip("192.0.2.1")), Access::kAllowed);
}

TEST(AccessRules, AnIpv4SourceOfADualStackSocketIsIpv4) {
  EXPECT_EQ(evaluate({"10.0.0.0/8"}, {}, ip("::ffff:10.1.2.3")), Access::kAllowed);
  EXPECT_EQ(evaluate({}, {"10.0.0.0/8"}, ip("::ffff:10.1.2.3")), Access::kDenied);
}

TEST(AccessRules, AnAllowListOfNetworksKeepsOutUnixSockets) {
  EXPECT_EQ(evaluate({"0.0.0.0/0", "::/0"}, {}, Address::parse("unix:/run/a.sock").value()),
            Access::kNotListed);
}

TEST(NetworkSet, EveryAddressOfEitherFamilyIsInTheWidestNetworks) {
  const NetworkSet everything(networks({"::/0"}));
  EXPECT_TRUE(everything.contains(ip("::")));
  EXPECT_TRUE(everything.contains(ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")));
  const NetworkSet ipv4(networks({"0.0.0.0/0"}));
  EXPECT_TRUE(ipv4.contains(ip("255.255.255.255")));
  EXPECT_FALSE(ipv4.contains(ip("2001:db8::1")));
}

TEST(NetworkSet, TheWidestNetworksOfIpv6HoldNoIpv4) {
  for (const char* wide : {"::/0", "::/64", "::/80"}) {
    const NetworkSet ipv6(networks({wide}));
    for (const char* text : {"0.0.0.0", "192.0.2.7", "255.255.255.255", "::ffff:192.0.2.7"})
      EXPECT_FALSE(ipv6.contains(ip(text))) << wide << ' ' << text;
    EXPECT_TRUE(ipv6.contains(ip("::fffe:ffff:ffff"))) << wide;
  }
  EXPECT_TRUE(NetworkSet(networks({"::/0"})).contains(ip("::1:0:0:0")));
  EXPECT_EQ(evaluate({"::/0"}, {}, ip("192.0.2.7")), Access::kNotListed);
  EXPECT_EQ(evaluate({"::/0", "192.0.2.0/24"}, {}, ip("192.0.2.7")), Access::kAllowed);
  EXPECT_EQ(evaluate({}, {"0.0.0.0/0", "::/0"}, ip("192.0.2.7")), Access::kDenied);
}

TEST(NetworkSet, AgreesWithEachNetworkAsked) {
  std::vector<Network> list =
      networks({"::/16", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "192.0.2.128/25", "2001:db8::/33",
                "2001:db8:8000::/48", "198.51.100.7/32", "fe80::/10"});
  const NetworkSet set(list);
  for (const auto text :
       {"9.255.255.255", "10.0.0.0", "10.1.2.3", "10.255.255.255", "11.0.0.0", "192.0.2.127", "192.0.2.128",
        "192.0.2.255", "192.0.3.0", "2001:db7:ffff::", "2001:db8::", "2001:db8:7fff:ffff::1",
        "2001:db8:8000::1", "2001:db8:8001::", "198.51.100.6", "198.51.100.7", "198.51.100.8", "fe80::1",
        "fec0::"}) {
    bool expected = false;
    for (const Network& network : list) expected = expected || network.contains(ip(text));
    EXPECT_EQ(set.contains(ip(text)), expected) << text;
  }
}

TEST(NetworkSet, WithoutNetworksHoldsNobody) {
  EXPECT_TRUE(NetworkSet().empty());
  EXPECT_FALSE(NetworkSet().contains(ip("192.0.2.1")));
}

}  // namespace
}  // namespace headgate
