#include "net/starttls/request.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace headgate {
namespace {

using namespace std::literals;
using Asked = RequestState;

std::span<const std::byte> heard(std::string_view text) {
  return std::as_bytes(std::span(text));
}

std::unique_ptr<StarttlsRequest> ask(StarttlsProtocol protocol) {
  return open_starttls_request(protocol);
}

const std::string kStartTlsDone = "\x30\x0C\x02\x01\x01\x78\x07\x0A\x01\x00\x04\x00\x04\x00"s;

/// The answers of a server that goes on to TLS, and what it is told for each; TLS begins behind the last one.
struct WillingServer {
  StarttlsProtocol protocol;
  std::vector<std::string> answers;
  std::vector<std::string> told;
};

std::vector<WillingServer> willing_servers() {
  return {
      {StarttlsProtocol::kPostgres, {"S"}, {}},
      {StarttlsProtocol::kSmtp,
       {"220-mail.test\r\n220 ESMTP\r\n", "250-mail.test\r\n250-SIZE 1000\r\n250 starttls\r\n", "220 go\r\n"},
       {"EHLO headgate\r\n", "STARTTLS\r\n"}},
      {StarttlsProtocol::kImap,
       {"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n", "* 1 EXISTS\r\ns OK go\r\n"},
       {"s STARTTLS\r\n"}},
      {StarttlsProtocol::kPop3, {"+OK <1.2@mail.test>\r\n", "+OK go\r\n"}, {"STLS\r\n"}},
      {StarttlsProtocol::kLdap, {kStartTlsDone}, {}}};
}

/// Feeds the first answers of `server`, all but the last `left`.
std::unique_ptr<StarttlsRequest> asked_up_to(const WillingServer& server, std::size_t left) {
  auto request = ask(server.protocol);
  for (std::size_t i = 0; i + left < server.answers.size(); ++i)
    static_cast<void>(request->feed(heard(server.answers[i])));
  return request;
}

TEST(StarttlsRequest, EveryProtocolGoesOnToTls) {
  for (const auto& [protocol, answers, told] : willing_servers()) {
    const auto request = ask(protocol);
    for (std::size_t i = 0; i + 1 < answers.size(); ++i) {
      const auto step = request->feed(heard(answers[i]));
      EXPECT_EQ(step.state, Asked::kNeedMore) << answers[i];
      EXPECT_EQ(step.consumed_bytes, answers[i].size());
      EXPECT_EQ(step.say, told[i]);
    }
    const auto step = request->feed(heard(answers.back()));
    EXPECT_EQ(step.state, Asked::kTlsBegins) << answers.back();
    EXPECT_EQ(step.say, "");
  }
}

TEST(StarttlsRequest, OpensWhereTheServerWaits) {
  EXPECT_EQ(ask(StarttlsProtocol::kPostgres)->opening(), "\x00\x00\x00\x08\x04\xD2\x16\x2F"sv);
  EXPECT_EQ(ask(StarttlsProtocol::kLdap)->opening(),
            "\x30\x1D\x02\x01\x01\x77\x18\x80\x16"s + "1.3.6.1.4.1.1466.20037");
  for (const auto protocol : {StarttlsProtocol::kSmtp, StarttlsProtocol::kImap, StarttlsProtocol::kPop3})
    EXPECT_EQ(ask(protocol)->opening(), "");
}

TEST(StarttlsRequest, EveryPrefixOfAnAnswerNeedsMore) {
  for (const auto& server : willing_servers()) {
    for (std::size_t left = server.answers.size(); left > 0; --left) {
      const auto request = asked_up_to(server, left);
      const std::string& answer = server.answers[server.answers.size() - left];
      std::size_t consumed_bytes = 0;
      for (std::size_t n = 0; n < answer.size(); ++n) {
        const auto step = request->feed(heard(answer).subspan(consumed_bytes, n - consumed_bytes));
        EXPECT_EQ(step.state, Asked::kNeedMore) << answer << n;
        EXPECT_EQ(step.say, "");
        consumed_bytes += step.consumed_bytes;
      }
    }
  }
}

// An attacker on the way could put plaintext behind the go-ahead. It must not pass for the server's own words
// inside TLS.
TEST(StarttlsRequest, RefusesBytesThatStandBehindTheGoAhead) {
  for (const auto& server : willing_servers()) {
    for (const auto injected : {"\x16\x03\x01"sv, "250 EVIL\r\n"sv, "\0"sv, "\r\n"sv}) {
      const auto request = asked_up_to(server, 1);
      EXPECT_EQ(request->feed(heard(server.answers.back() + std::string(injected))).state,
                Asked::kPlaintextBehind)
          << server.answers.back();
    }
  }
}

TEST(StarttlsRequest, RefusesAReplyToSmtpThatCameBeforeItsCommand) {
  const auto request = ask(StarttlsProtocol::kSmtp);
  EXPECT_EQ(request->feed(heard("220 mail.test\r\n250 STARTTLS\r\n")).state, Asked::kPlaintextBehind);
}

struct UnwillingServer {
  StarttlsProtocol protocol;
  std::vector<std::string> answers;
  RequestState end;
  std::string why;
};

TEST(StarttlsRequest, SaysWhatTheServerRefuses) {
  const std::vector<UnwillingServer> servers = {
      {StarttlsProtocol::kPostgres, {"N"}, Asked::kRefused, "the server has no TLS: turn ssl on in it"},
      {StarttlsProtocol::kPostgres,
       {"E...."},
       Asked::kRefused,
       "the server answers the request for TLS with an error"},
      {StarttlsProtocol::kPostgres,
       {"220 mail"},
       Asked::kMalformed,
       "the server does not speak PostgreSQL's protocol"},
      {StarttlsProtocol::kSmtp,
       {"554 go away\r\n"},
       Asked::kRefused,
       "the server does not welcome us: \"554 go away\""},
      {StarttlsProtocol::kSmtp,
       {"220 a\r\n", "502 no\r\n"},
       Asked::kRefused,
       "the server refuses EHLO: \"502 no\""},
      {StarttlsProtocol::kSmtp,
       {"220 a\r\n", "250-STARTTLS\r\n250 SIZE\r\n"},
       Asked::kRefused,
       "the server does not offer STARTTLS"},
      {StarttlsProtocol::kSmtp,
       {"220 a\r\n", "250-a\r\n250 STARTTLS\r\n", "454 not \"now\"\x01\r\n"},
       Asked::kRefused,
       "the server refuses STARTTLS: \"454 not ?now??\""},
      {StarttlsProtocol::kSmtp, {"* OK ready\r\n"}, Asked::kMalformed, "the server does not speak SMTP"},
      {StarttlsProtocol::kSmtp, {"22\r\n"}, Asked::kMalformed, "the server does not speak SMTP"},
      {StarttlsProtocol::kImap,
       {"* BYE full\r\n"},
       Asked::kRefused,
       "the server does not welcome us: \"* BYE full\""},
      {StarttlsProtocol::kImap,
       {"* PREAUTH a\r\n"},
       Asked::kRefused,
       "the server does not welcome us: \"* PREAUTH a\""},
      {StarttlsProtocol::kImap,
       {"* OK a\r\n", "s NO no\r\n"},
       Asked::kRefused,
       "the server refuses STARTTLS: \"s NO no\""},
      {StarttlsProtocol::kImap, {"220 mail\r\n"}, Asked::kMalformed, "the server does not speak IMAP"},
      {StarttlsProtocol::kImap,
       {"* OK a\r\n", "220 mail\r\n"},
       Asked::kMalformed,
       "no answer to STARTTLS in what the server says"},
      {StarttlsProtocol::kPop3,
       {"-ERR full\r\n"},
       Asked::kRefused,
       "the server does not welcome us: \"-ERR full\""},
      {StarttlsProtocol::kPop3,
       {"+OK a\r\n", "-ERR no\r\n"},
       Asked::kRefused,
       "the server refuses STARTTLS: \"-ERR no\""},
      {StarttlsProtocol::kPop3, {"220 mail\r\n"}, Asked::kMalformed, "the server does not speak POP3"},
      {StarttlsProtocol::kLdap,
       {"\x30\x0C\x02\x01\x01\x78\x07\x0A\x01\x34\x04\x00\x04\x00"s},
       Asked::kRefused,
       "the server refuses StartTLS with result code 52"},
      {StarttlsProtocol::kLdap,
       {"\x30\x0C\x02\x01\x02\x78\x07\x0A\x01\x00\x04\x00\x04\x00"s},
       Asked::kMalformed,
       "the server answers a request that was not made"},
      {StarttlsProtocol::kLdap,
       {"220 mail\r\n"},
       Asked::kMalformed,
       "the server's answer to StartTLS is not LDAP"},
  };
  for (const auto& server : servers) {
    const auto request = ask(server.protocol);
    RequestStep step;
    for (const std::string& answer : server.answers) step = request->feed(heard(answer));
    EXPECT_EQ(step.state, server.end) << server.why;
    EXPECT_EQ(step.why, server.why);
    EXPECT_EQ(step.say, "");
  }
}

TEST(StarttlsRequest, WaitsForNoMoreUntaggedResponsesThanAServerSends) {
  const auto request = ask(StarttlsProtocol::kImap);
  static_cast<void>(request->feed(heard("* OK ready\r\n")));
  RequestStep step;
  int responses = 0;
  for (; step.state == Asked::kNeedMore && responses < 100; ++responses)
    step = request->feed(heard("* 1 EXISTS\r\n"));
  EXPECT_EQ(step.state, Asked::kMalformed);
  EXPECT_EQ(responses, 33);
}

TEST(StarttlsRequest, NoDamagedByteMakesARequestReadBeyondItsInput) {
  for (const auto& server : willing_servers()) {
    for (std::size_t left = server.answers.size(); left > 0; --left) {
      const std::string& answer = server.answers[server.answers.size() - left];
      for (std::size_t at = 0; at < answer.size(); ++at) {
        for (const char damage : {'\0', '\n', '-', '\x7F', '\xFF'}) {
          std::string damaged = answer;
          damaged[at] = damage;
          const auto step = asked_up_to(server, left)->feed(heard(damaged));
          EXPECT_LE(step.consumed_bytes, damaged.size());
        }
      }
    }
  }
}

TEST(StarttlsWelcome, GreetsWhereTheServerSpeaksFirstAndNamesNoCapability) {
  EXPECT_EQ(starttls_welcome(StarttlsProtocol::kSmtp), "220 headgate ESMTP\r\n");
  EXPECT_EQ(starttls_welcome(StarttlsProtocol::kImap), "* OK headgate ready\r\n");
  EXPECT_EQ(starttls_welcome(StarttlsProtocol::kPop3), "+OK headgate ready\r\n");
  EXPECT_EQ(starttls_welcome(StarttlsProtocol::kPostgres), "");
  EXPECT_EQ(starttls_welcome(StarttlsProtocol::kLdap), "");
}

}  // namespace
}  // namespace headgate
