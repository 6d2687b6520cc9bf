#include "net/address.h"

#include <netinet/in.h>
#include <sys/un.h>

#include <cstddef>
#include <cstring>
#include <string>

#include <gtest/gtest.h>

#include "net/socket.h"

namespace headgate {
namespace {

Address address(std::string_view text) {
  auto parsed = Address::parse(text);
  EXPECT_TRUE(parsed) << text << ": " << (parsed ? "" : parsed.error().what);
  return parsed.value_or(Address{});
}

std::string address_fault(std::string_view text) {
  auto parsed = Address::parse(text);
  return parsed ? "accepted as " + parsed->text() : parsed.error().what;
}

Network network(std::string_view text) {
  auto parsed = Network::parse(text);
  EXPECT_TRUE(parsed) << text << ": " << (parsed ? "" : parsed.error().what);
  return parsed.value_or(Network{});
}

std::string network_fault(std::string_view text) {
  auto parsed = Network::parse(text);
  return parsed ? "accepted as " + parsed->text() : parsed.error().what;
}

TEST(Address, IsWrittenTheWayItIsRead) {
  for (const char* text : {"192.0.2.1:80", "[::1]:80", "[2001:db8::a]:65535", "0.0.0.0:0", "[fe80::1%1]:443",
                           "unix:/run/headgate.sock", "unix:relative.sock", "unix:@abstract"}) {
    EXPECT_EQ(address(text).text(), text);
    EXPECT_EQ(address(address(text).text()), address(text));
  }
}

TEST(Address, KnowsThisMachinesOwn) {
  for (const char* own : {"127.0.0.1:80", "127.255.0.9:80", "[::1]:80"}) {
    EXPECT_TRUE(address(own).is_loopback()) << own;
  }
  for (const char* other : {"126.0.0.1:80", "128.0.0.1:80", "192.0.2.1:80", "[::2]:80", "unix:/run/x.sock"}) {
    EXPECT_FALSE(address(other).is_loopback()) << other;
  }
}

TEST(Address, WithoutAHostIsEveryAddressOfBothFamilies) {
  const Address every = address(":8443");
  EXPECT_EQ(every.family(), AF_INET6);
  EXPECT_EQ(every.text(), "[::]:8443");
  EXPECT_EQ(every.port(), 8443);
}

TEST(Address, ShowsIpv4MappedIpv6AsIpv4) {
  EXPECT_EQ(address("[::ffff:192.0.2.7]:80").text(), "192.0.2.7:80");
  EXPECT_EQ(address("[::ffff:192.0.2.7]:80").host_text(), "192.0.2.7");
}

TEST(Address, IsIpv4AgainWhereItIsMapped) {
  const Address mapped = address("[::ffff:192.0.2.1]:80").unmapped();
  EXPECT_EQ(mapped.family(), AF_INET);
  EXPECT_EQ(mapped, address("192.0.2.1:80"));
  for (const auto text : {"[2001:db8::1]:80", "192.0.2.1:80", "unix:/run/x.sock"})
    EXPECT_EQ(address(text).unmapped(), address(text));
}

TEST(Address, IsOfThisMachineOrNot) {
  EXPECT_TRUE(is_of_this_machine(address("127.0.0.1:80")));
  EXPECT_TRUE(is_of_this_machine(address("127.9.9.9:1")));
  EXPECT_FALSE(is_of_this_machine(address("192.0.2.1:80"))) << "TEST-NET-1";
}

TEST(Address, ShowsItsHostWithoutBracketsAndPort) {
  EXPECT_EQ(address("192.0.2.1:80").host_text(), "192.0.2.1");
  EXPECT_EQ(address("[2001:db8::1]:80").host_text(), "2001:db8::1");
  EXPECT_EQ(address("unix:/run/x.sock").host_text(), "unix");
  EXPECT_EQ(Address{}.host_text(), "unknown");
}

TEST(Address, TakesALinkLocalZoneByInterfaceName) {
  EXPECT_EQ(address("[fe80::1%lo]:443").host_text(), "fe80::1%1");
}

TEST(Address, ComparesByWhatItNames) {
  EXPECT_EQ(address("[::1]:80"), address("[0:0::1]:80"));
  EXPECT_NE(address("[::1]:80"), address("[::1]:81"));
  EXPECT_NE(address("127.0.0.1:80"), address("127.0.0.2:80"));
  EXPECT_NE(address("127.0.0.1:80"), address("[::1]:80"));
  EXPECT_NE(address("[fe80::1%1]:80"), address("[fe80::1%2]:80"));
  EXPECT_NE(address("unix:/a"), address("unix:/b"));
  EXPECT_NE(address("unix:@a"), address("unix:a"));
  EXPECT_EQ(Address{}, Address{});
}

TEST(Address, ChangesItsPortInBothFamiliesAndLeavesAUnixSocketAlone) {
  for (const char* text : {"192.0.2.1:1", "[::1]:1"}) {
    Address changed = address(text);
    changed.set_port(4433);
    EXPECT_EQ(changed.port(), 4433);
  }
  Address path = address("unix:/run/x.sock");
  path.set_port(4433);
  EXPECT_EQ(path, address("unix:/run/x.sock"));
  EXPECT_EQ(path.port(), 0);
}

TEST(Address, OfAnUnnamedUnixClientIsAUnixSocketWithoutAPath) {
  sockaddr_storage storage{};
  storage.ss_family = AF_UNIX;
  const Address unnamed = Address::from_socket(storage, sizeof(sa_family_t));
  EXPECT_TRUE(unnamed.is_unix());
  EXPECT_EQ(unnamed.text(), "unix:");
}

TEST(Address, OfAUnixSocketHasTheLengthTheKernelExpects) {
  EXPECT_EQ(address("unix:/a").size_bytes(), offsetof(sockaddr_un, sun_path) + 3);
  EXPECT_EQ(address("unix:@a").size_bytes(), offsetof(sockaddr_un, sun_path) + 2);
}

TEST(Address, SaysWhatWouldBeRight) {
  EXPECT_EQ(
      address_fault("8443"),
      R"("8443" has no port; write "127.0.0.1:8443", "[::1]:8443", ":8443" or "unix:/run/headgate.sock")");
  EXPECT_EQ(address_fault("::1:80"),
            R"("::1:80" is ambiguous; write an IPv6 address in brackets: "[::1]:8443")");
  EXPECT_EQ(address_fault("localhost:80"), R"("localhost" is not an IP address; a name is not allowed here)");
  EXPECT_EQ(address_fault("127.0.0.1:"), R"("127.0.0.1:" needs a port from 0 to 65535 after its last colon)");
  EXPECT_EQ(address_fault("127.0.0.1:65536"),
            R"("127.0.0.1:65536" needs a port from 0 to 65535 after its last colon)");
  EXPECT_EQ(address_fault("127.0.0.1:+80"),
            R"("127.0.0.1:+80" needs a port from 0 to 65535 after its last colon)");
  EXPECT_EQ(address_fault("[::1:80"), R"("[::1:80" has a bracket that is not closed)");
  EXPECT_EQ(address_fault("[127.0.0.1]:80"), R"("127.0.0.1" is not an IPv6 address)");
  EXPECT_EQ(address_fault("[fe80::1%nowhere0]:80"),
            R"("fe80::1%nowhere0" names an interface that this machine does not have)");
  EXPECT_EQ(address_fault("unix:"), R"(a unix socket needs a path: "unix:/run/headgate.sock")");
  EXPECT_EQ(address_fault("unix:@"), R"(a unix socket needs a path: "unix:/run/headgate.sock")");
}

TEST(Address, RefusesAUnixPathTheKernelWouldCut) {
  const std::string longest(107, 'x');
  EXPECT_EQ(address("unix:" + longest).text(), "unix:" + longest);
  EXPECT_EQ(address_fault("unix:" + longest + 'x'),
            "the path of a unix socket has at most 107 bytes, this one has 108");
  EXPECT_EQ(address_fault(std::string_view("unix:a\0b", 8)), "a unix socket's path cannot hold a NUL");
}

TEST(Address, SurvivesEveryPrefixAndEveryDamagedByte) {
  for (const std::string good : {"[fe80::1%1]:8443", "192.0.2.1:80", "unix:/run/x.sock"}) {
    for (std::size_t length = 0; length < good.size(); ++length) (void)Address::parse(good.substr(0, length));
    for (std::size_t at = 0; at < good.size(); ++at) {
      for (int byte = 0; byte < 256; ++byte) {
        std::string damaged = good;
        damaged[at] = static_cast<char>(byte);
        const auto parsed = Address::parse(damaged);
        if (parsed.has_value()) {
          EXPECT_EQ(address(parsed->text()), *parsed);
        }
      }
    }
  }
}

TEST(Network, IsWrittenTheWayItIsRead) {
  for (const char* text : {"10.0.0.0/8", "0.0.0.0/0", "192.0.2.1/32", "2001:db8::/32", "::/0", "::1/128"}) {
    EXPECT_EQ(network(text).text(), text);
  }
  EXPECT_EQ(network("192.0.2.1").text(), "192.0.2.1/32");
  EXPECT_EQ(network("::1").text(), "::1/128");
}

TEST(Network, ContainsWhatItsPrefixCovers) {
  EXPECT_TRUE(network("10.0.0.0/8").contains(address("10.255.0.1:5")));
  EXPECT_FALSE(network("10.0.0.0/8").contains(address("11.0.0.1:5")));
  EXPECT_TRUE(network("192.0.2.128/25").contains(address("192.0.2.255:0")));
  EXPECT_FALSE(network("192.0.2.128/25").contains(address("192.0.2.127:0")));
  EXPECT_TRUE(network("2001:db8::/33").contains(address("[2001:db8:7fff::1]:0")));
  EXPECT_FALSE(network("2001:db8::/33").contains(address("[2001:db8:8000::1]:0")));
  EXPECT_TRUE(network("::1").contains(address("[::1]:0")));
}

TEST(Network, CountsAnIpv4MappedAddressAsIpv4) {
  EXPECT_TRUE(network("10.0.0.0/8").contains(address("[::ffff:10.1.2.3]:80")));
  EXPECT_FALSE(network("::/0").contains(address("[::ffff:10.1.2.3]:80")));
  EXPECT_FALSE(network("::/0").contains(address("10.1.2.3:80")));
  EXPECT_TRUE(network("0.0.0.0/0").contains(address("10.1.2.3:80")));
  EXPECT_FALSE(network("0.0.0.0/0").contains(address("[::1]:80")));
}

TEST(Network, HoldsNoUnixSocket) {
  EXPECT_FALSE(network("::/0").contains(address("unix:/run/x.sock")));
}

TEST(Network, SaysWhatWouldBeRight) {
  EXPECT_EQ(network_fault("10.0.0.1/8"), R"("10.0.0.1/8" has bits set after its prefix; write "10.0.0.0/8")");
  EXPECT_EQ(network_fault("10.0.0.0/33"), R"("10.0.0.0/33" needs a prefix from 0 to 32 after the slash)");
  EXPECT_EQ(network_fault("2001:db8::/129"),
            R"("2001:db8::/129" needs a prefix from 0 to 128 after the slash)");
  EXPECT_EQ(network_fault("10.0.0.0/"), R"("10.0.0.0/" needs a prefix from 0 to 32 after the slash)");
  EXPECT_EQ(network_fault("everyone"),
            R"("everyone" is not a network; write "10.0.0.0/8", "2001:db8::/32" or a single address)");
}

}  // namespace
}  // namespace headgate
