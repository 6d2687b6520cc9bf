#include "net/private_link.h"

#include <string>

#include <gtest/gtest.h>

namespace headgate {
namespace {

using namespace std::literals;

const std::string kAws = "\xEA\0\x09\x01vpce-0a1"s;
const std::string kAzure = "\xEE\0\x05\x01\x07\0\0\x02"s;
const std::string kGcp = "\xE0\0\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFE"s;

TEST(PrivateLink, IsNamedByTheTlvsOfEachCloud) {
  EXPECT_EQ(private_link(kAws + kAzure + kGcp), (PrivateLink{.aws_vpc_endpoint = "vpce-0a1",
                                                             .azure_private_link = "33554439",
                                                             .gcp_psc_connection = "18446744073709551614"}));
  EXPECT_TRUE(private_link("").empty());
}

TEST(PrivateLink, IsTheFirstOfSeveral) {
  EXPECT_EQ(private_link(kAws + "\xEA\0\x07\x01vpce-1"s).aws_vpc_endpoint, "vpce-0a1");
}

TEST(PrivateLink, IsNotReadFromPrefixes) {
  for (const std::string& tlv : {kAws, kAzure, kGcp}) {
    for (std::size_t n = 0; n < tlv.size(); ++n) {
      const PrivateLink link = private_link(tlv.substr(0, n));
      if (tlv != kAws || n < 10) {
        EXPECT_TRUE(link.empty()) << n;
      }
    }
  }
}

TEST(PrivateLink, IsAnEndpointOfLowerCaseLettersDigitsAndHyphensAlone) {
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    const bool allowed = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    EXPECT_EQ(is_vpc_endpoint("vpce-"s + c), allowed) << byte;
  }
  EXPECT_FALSE(is_vpc_endpoint("vpce-"));
  EXPECT_TRUE(is_vpc_endpoint("vpce-" + std::string(59, 'a')));
  EXPECT_FALSE(is_vpc_endpoint("vpce-" + std::string(60, 'a')));
}

}  // namespace
}  // namespace headgate
