#include "net/starttls/backend_greeting.h"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace headgate {
namespace {

using State = BackendGreeting::State;

BackendGreeting::Verdict read(StarttlsProtocol protocol, std::string_view received) {
  return BackendGreeting::read(protocol, std::as_bytes(std::span(received)));
}

void expect_dropped(StarttlsProtocol protocol, std::string_view greeting) {
  const std::string received = std::string(greeting) + "250 for the client\r\n";
  for (std::size_t n = 0; n < greeting.size(); ++n) {
    EXPECT_EQ(read(protocol, received.substr(0, n)).state, State::kNeedMore) << n;
  }
  const auto verdict = read(protocol, received);
  EXPECT_EQ(verdict.state, State::kDone);
  EXPECT_EQ(verdict.drop_bytes, greeting.size());
}

void expect_left(StarttlsProtocol protocol, std::string_view greeting) {
  const auto verdict = read(protocol, greeting);
  EXPECT_EQ(verdict.state, State::kDone) << greeting;
  EXPECT_EQ(verdict.drop_bytes, 0U);
}

TEST(BackendGreeting, IsDroppedOnceAndToItsLastLine) {
  expect_dropped(StarttlsProtocol::kSmtp, "220 mail.example.com ESMTP\r\n");
  expect_dropped(StarttlsProtocol::kSmtp, "220-mail.example.com\r\n220-be nice\r\n220 ESMTP\r\n");
  expect_dropped(StarttlsProtocol::kSmtp, "220\r\n");
  expect_dropped(StarttlsProtocol::kImap, "* OK [CAPABILITY IMAP4rev2] ready\r\n");
  expect_dropped(StarttlsProtocol::kPop3, "+OK <1.2@example.com>\r\n");
}

TEST(BackendGreeting, ThatIsNoWelcomeIsLeftForTheClient) {
  expect_left(StarttlsProtocol::kSmtp, "554 go away\r\n");
  expect_left(StarttlsProtocol::kSmtp, "220-wait\r\n421 too busy\r\n");
  expect_left(StarttlsProtocol::kImap, "* BYE overloaded\r\n");
  expect_left(StarttlsProtocol::kImap, "* PREAUTH hello\r\n");
  expect_left(StarttlsProtocol::kPop3, "-ERR busy\r\n");
}

TEST(BackendGreeting, IsNotWaitedForWhereTheClientSpeaksFirst) {
  expect_left(StarttlsProtocol::kPostgres, "");
  expect_left(StarttlsProtocol::kLdap, "");
}

TEST(BackendGreeting, WithoutAnEndIsMalformed) {
  for (const auto protocol : {StarttlsProtocol::kSmtp, StarttlsProtocol::kImap, StarttlsProtocol::kPop3}) {
    EXPECT_EQ(read(protocol, std::string(kMaxStarttlsInputBytes, 'x')).state, State::kMalformed);
  }
}

}  // namespace
}  // namespace headgate
