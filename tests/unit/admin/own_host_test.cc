#include "admin/own_host.h"

#include <gtest/gtest.h>

namespace headgate {
namespace {

bool is_own(std::string_view host, const std::string& bind = "127.0.0.1:9464",
            const std::vector<std::string>& names = {}) {
  return is_own_host(host, *Address::parse(bind), names);
}

TEST(OwnHost, IsLocalhostAndLoopbackByEveryPort) {
  for (const auto* host : {"localhost", "LOCALHOST:80", "localhost.", "127.0.0.1", "127.0.0.1:9464",
                           "127.3.2.1:1", "[::1]", "[::1]:9464", "localhost:"}) {
    EXPECT_TRUE(is_own(host)) << host;
    EXPECT_TRUE(is_own(host, "10.1.2.3:9464")) << host;
  }
}

TEST(OwnHost, IsTheBoundAddress) {
  EXPECT_TRUE(is_own("10.1.2.3:80", "10.1.2.3:9464"));
  EXPECT_FALSE(is_own("10.1.2.4", "10.1.2.3:9464"));
  EXPECT_TRUE(is_own("[2001:DB8:0::1]:9464", "[2001:db8::1]:9464"));
  EXPECT_FALSE(is_own("192.0.2.7", "127.0.0.1:9464"));
}

TEST(OwnHost, IsEveryAddressAndNoNameWhereEveryAddressIsBound) {
  for (const auto* bind : {":9464", "[::]:9464", "0.0.0.0:9464"}) {
    EXPECT_TRUE(is_own("192.0.2.7:9464", bind)) << bind;
    EXPECT_TRUE(is_own("[2001:db8::7]", bind)) << bind;
    EXPECT_FALSE(is_own("evil.example", bind)) << bind;
    EXPECT_FALSE(is_own("headgate", bind)) << bind;
  }
}

TEST(OwnHost, IsANameOfTheConfiguration) {
  const std::vector<std::string> names{"Status.example", "*.pods.example", "192.0.2.7", "2001:db8::7"};
  for (const auto* host :
       {"status.example", "STATUS.EXAMPLE.:9464", "a.pods.example", "192.0.2.7:1", "[2001:db8:0::7]"})
    EXPECT_TRUE(is_own(host, "127.0.0.1:9464", names)) << host;
  for (const auto* host : {"a.status.example", "pods.example", ".pods.example", "a.b.pods.example",
                           "192.0.2.8", "evilpods.example", "status.example.evil.example"})
    EXPECT_FALSE(is_own(host, "127.0.0.1:9464", names)) << host;
}

TEST(OwnHost, IsAnyNameWithoutADotOnAUnixSocket) {
  for (const auto* host : {"headgate", "admin:80", "localhost", "127.0.0.1"})
    EXPECT_TRUE(is_own(host, "unix:/run/admin.sock")) << host;
  EXPECT_FALSE(is_own("evil.example", "unix:/run/admin.sock"));
  EXPECT_FALSE(is_own("192.0.2.7", "unix:/run/admin.sock"));
  EXPECT_TRUE(is_own("status.example", "unix:/run/admin.sock", {"status.example"}));
}

TEST(OwnHost, IsNoMalformedText) {
  const std::string nul("localhost\0.evil.example", 23);
  for (const std::string& host :
       {std::string(), std::string("."), std::string(":80"), std::string("[]"), std::string("["),
        std::string("[::1"), std::string("[::1]x"), std::string("::1"), std::string("localhost:x"),
        std::string("localhost:80:80"), std::string("user@localhost"), std::string("localhost/x"),
        std::string("localhost evil"), std::string("127.1"), std::string("2130706433"),
        std::string("[127.0.0.1]"), nul}) {
    EXPECT_FALSE(is_own(host)) << host;
    EXPECT_FALSE(is_own(host, "127.0.0.1:9464", {"status.example"})) << host;
  }
}

}  // namespace
}  // namespace headgate
