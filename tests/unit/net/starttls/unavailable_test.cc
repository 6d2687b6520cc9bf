#include "net/starttls/unavailable.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace headgate {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;
using namespace std::string_view_literals;

TEST(StarttlsUnavailable, PostgresHearsAFatalErrorResponseOfTheLengthThatItSays) {
  const std::string said = starttls_unavailable(StarttlsProtocol::kPostgres);
  ASSERT_THAT(said, StartsWith("E\0\0\0"sv));
  EXPECT_EQ(static_cast<std::size_t>(said[4]), said.size() - 1);
  EXPECT_THAT(said.substr(5), StartsWith("SFATAL\0VFATAL\0C57P03\0M"sv));
  EXPECT_THAT(said, EndsWith("\0\0"sv));
}

TEST(StarttlsUnavailable, ProtocolsOfLinesHearOneLine) {
  EXPECT_THAT(starttls_unavailable(StarttlsProtocol::kSmtp), StartsWith("421 "));
  EXPECT_THAT(starttls_unavailable(StarttlsProtocol::kImap), StartsWith("* BYE "));
  EXPECT_THAT(starttls_unavailable(StarttlsProtocol::kPop3), StartsWith("-ERR "));
  for (const auto protocol : {StarttlsProtocol::kSmtp, StarttlsProtocol::kImap, StarttlsProtocol::kPop3}) {
    const std::string said = starttls_unavailable(protocol);
    EXPECT_THAT(said, EndsWith("\r\n"));
    EXPECT_EQ(said.find('\n'), said.size() - 1);
  }
}

TEST(StarttlsUnavailable, LdapHearsANoticeOfDisconnectionOfTheLengthThatItSays) {
  const std::string said = starttls_unavailable(StarttlsProtocol::kLdap);
  ASSERT_THAT(said, StartsWith("\x30"));
  EXPECT_EQ(static_cast<std::size_t>(said[1]), said.size() - 2);
  EXPECT_THAT(said.substr(2), StartsWith("\x02\x01\x00\x78"sv));
  EXPECT_EQ(static_cast<std::size_t>(said[6]), said.size() - 7);
  EXPECT_THAT(said.substr(7), StartsWith("\x0a\x01\x34\x04\x00\x04"sv));
  EXPECT_THAT(said, EndsWith("\x8a\x16"
                             "1.3.6.1.4.1.1466.20036"sv));
}

TEST(StarttlsUnavailable, EveryLengthFitsIntoItsOneByte) {
  for (const auto protocol : {StarttlsProtocol::kPostgres, StarttlsProtocol::kLdap})
    EXPECT_LT(starttls_unavailable(protocol).size(), 128U);
}

}  // namespace
}  // namespace headgate
