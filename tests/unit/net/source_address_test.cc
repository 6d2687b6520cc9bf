#include "net/source_address.h"

#include <gtest/gtest.h>

namespace headgate::test {
namespace {

SourceNetwork network(const char* address) {
  return SourceAddress(*Address::parse(address)).network();
}

TEST(SourceAddress, AnIpv4AddressIsOneNetworkHoweverItIsWritten) {
  EXPECT_EQ(network("192.0.2.7:1"), network("[::ffff:192.0.2.7]:2"));
  EXPECT_NE(network("192.0.2.7:1"), network("192.0.2.8:1"));
}

TEST(SourceAddress, AnIpv6NetworkIsTheFirst64Bits) {
  EXPECT_EQ(network("[2001:db8:1:2::1]:1"), network("[2001:db8:1:2:ffff::9]:1"));
  EXPECT_NE(network("[2001:db8:1:2::1]:1"), network("[2001:db8:1:3::1]:1"));
}

TEST(SourceAddress, NoIpv6NetworkIsTakenForAnIpv4Address) {
  EXPECT_NE(network("[2001:db8::1]:1"), network("192.0.2.7:1"));
  EXPECT_NE(network("[::1]:1"), network("0.0.0.1:1"));
}

}  // namespace
}  // namespace headgate::test
