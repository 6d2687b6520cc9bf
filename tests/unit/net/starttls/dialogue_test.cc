#include "net/starttls/dialogue.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace headgate {
namespace {

using namespace std::literals;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;
using enum StarttlsState;

std::span<const std::byte> sent(std::string_view text) {
  return std::as_bytes(std::span(text));
}

std::unique_ptr<StarttlsDialogue> open(StarttlsProtocol protocol) {
  return open_starttls(protocol).value();
}

/// A request to upgrade of each protocol, as a client sends it alone.
struct Upgrade {
  StarttlsProtocol protocol;
  std::string request;
  std::string reply;
};

const std::string kPostgresSsl = "\x00\x00\x00\x08\x04\xD2\x16\x2F"s;
const std::string kPostgresGss = "\x00\x00\x00\x08\x04\xD2\x16\x30"s;
const std::string kLdapStartTls = "\x30\x1D\x02\x01\x01\x77\x18\x80\x16"s + "1.3.6.1.4.1.1466.20037";

std::vector<Upgrade> upgrades() {
  return {{StarttlsProtocol::kPostgres, kPostgresSsl, "S"},
          {StarttlsProtocol::kSmtp, "STARTTLS\r\n", "220 2.0.0 Ready to start TLS\r\n"},
          {StarttlsProtocol::kImap, "a1 STARTTLS\r\n", "a1 OK Begin TLS negotiation now\r\n"},
          {StarttlsProtocol::kPop3, "STLS\r\n", "+OK Begin TLS negotiation\r\n"},
          {StarttlsProtocol::kLdap, kLdapStartTls,
           "\x30\x24\x02\x01\x01\x78\x1F\x0A\x01\x00\x04\x00\x04\x00\x8A\x16"s + "1.3.6.1.4.1.1466.20037"}};
}

/// Returns the answers to a client that sends `lines`, each alone.
StarttlsStep say(StarttlsDialogue& dialogue, std::initializer_list<std::string_view> lines) {
  StarttlsStep step;
  for (const auto line : lines) step = dialogue.feed(sent(line));
  return step;
}

TEST(Starttls, EveryProtocolBeginsTlsWhenAskedTo) {
  for (const auto& [protocol, request, reply] : upgrades()) {
    const auto step = open(protocol)->feed(sent(request));
    EXPECT_EQ(step.state, kTlsBegins) << request;
    EXPECT_EQ(step.reply, reply);
    EXPECT_EQ(step.consumed_bytes, request.size());
  }
}

TEST(Starttls, EveryPrefixOfARequestNeedsMoreAndConsumesNothing) {
  for (const auto& [protocol, request, reply] : upgrades()) {
    const auto dialogue = open(protocol);
    for (std::size_t n = 0; n < request.size(); ++n) {
      const auto step = dialogue->feed(sent(request).first(n));
      EXPECT_EQ(step.state, kNeedMore) << request << n;
      EXPECT_EQ(step.consumed_bytes, 0U);
      EXPECT_EQ(step.reply, "");
    }
    EXPECT_EQ(dialogue->feed(sent(request)).state, kTlsBegins);
  }
}

// An attacker on the way could put plaintext behind the request. It must not pass for the first words of the
// session.
TEST(Starttls, RefusesBytesThatStandBehindTheRequest) {
  for (const auto& [protocol, request, reply] : upgrades()) {
    for (const auto injected : {"\x16\x03\x01"sv, "EVIL\r\n"sv, "\0"sv, "\r\n"sv}) {
      const auto step = open(protocol)->feed(sent(request + std::string(injected)));
      EXPECT_EQ(step.state, kMalformed) << request;
      EXPECT_THAT(step.reply, testing::Not(EndsWith(reply)));
    }
  }
}

TEST(Starttls, NoDamagedByteMakesADialogueReadBeyondItsInput) {
  for (const auto& [protocol, request, reply] : upgrades()) {
    for (std::size_t i = 0; i < request.size(); ++i) {
      for (int value = 0; value < 256; ++value) {
        std::string damaged = request;
        damaged[i] = static_cast<char>(value);
        const auto step = open(protocol)->feed(sent(damaged));
        EXPECT_LE(step.consumed_bytes, damaged.size());
      }
    }
  }
}

TEST(Starttls, HasNoGreetingOfItsOwnForMysql) {
  const auto dialogue = open_starttls(StarttlsProtocol::kMysql);
  ASSERT_FALSE(dialogue.has_value());
  EXPECT_EQ(dialogue.error().kind, ErrorKind::kInvalid);
}

TEST(Starttls, GreetsExactlyWhereTheServerSpeaksFirst) {
  for (const auto& [protocol, request, reply] : upgrades()) {
    EXPECT_EQ(!open(protocol)->greeting().empty(), server_speaks_first(protocol));
  }
}

TEST(Starttls, TellsAClientThatBeginsTlsUnaskedOnAMailPortAtOnce) {
  for (const auto protocol : {StarttlsProtocol::kSmtp, StarttlsProtocol::kImap, StarttlsProtocol::kPop3}) {
    EXPECT_EQ(open(protocol)->feed(sent("\x16\x03\x01\x02\x00")).state, kMalformed);
  }
}

TEST(Starttls, CutsOffAMailClientThatNeverEndsItsLineOrNeverStopsTalking) {
  for (const auto protocol : {StarttlsProtocol::kSmtp, StarttlsProtocol::kImap, StarttlsProtocol::kPop3}) {
    EXPECT_EQ(open(protocol)->feed(sent(std::string(3000, 'x'))).state, kMalformed);
    const auto talkative = open(protocol);
    int lines = 0;
    while (talkative->feed(sent("a NOOP\r\n")).state == kNeedMore) ASSERT_LT(++lines, 100);
  }
}

TEST(Starttls, TakesLinesWithoutCarriageReturn) {
  EXPECT_EQ(open(StarttlsProtocol::kSmtp)->feed(sent("starttls\n")).state, kTlsBegins);
}

TEST(SmtpStarttls, OffersOnlyStarttlsAndAnswersSeveralCommandsInOrder) {
  const auto smtp = open(StarttlsProtocol::kSmtp);
  EXPECT_THAT(std::string(smtp->greeting()), StartsWith("220 "));
  const auto step = smtp->feed(sent("EHLO me\r\nMAIL FROM:<a@b>\r\nNO"));
  EXPECT_EQ(step.state, kNeedMore);
  EXPECT_EQ(step.reply, "250-headgate\r\n250 STARTTLS\r\n530 5.7.0 Must issue a STARTTLS command first\r\n");
  EXPECT_EQ(step.consumed_bytes, 26U);
}

TEST(SmtpStarttls, EndsOnQuitAndIgnoresWhatFollows) {
  const auto step = open(StarttlsProtocol::kSmtp)->feed(sent("QUIT\r\nNOOP\r\n"));
  EXPECT_EQ(step.state, kEnded);
  EXPECT_THAT(step.reply, StartsWith("221"));
}

TEST(SmtpStarttls, TakesNoParameter) {
  const auto step = open(StarttlsProtocol::kSmtp)->feed(sent("STARTTLS now\r\n"));
  EXPECT_EQ(step.state, kNeedMore);
  EXPECT_THAT(step.reply, StartsWith("501"));
}

TEST(ImapStarttls, DisablesLoginBeforeTls) {
  const auto imap = open(StarttlsProtocol::kImap);
  EXPECT_THAT(std::string(imap->greeting()), HasSubstr("LOGINDISABLED"));
  EXPECT_THAT(say(*imap, {"A1 capability\r\n"}).reply, HasSubstr("LOGINDISABLED\r\nA1 OK"));
  EXPECT_THAT(say(*imap, {"A2 LOGIN me secret\r\n"}).reply, StartsWith("A2 NO [PRIVACYREQUIRED]"));
  EXPECT_EQ(say(*imap, {"A3 LOGOUT\r\n"}).state, StarttlsState::kPlaintext);
  EXPECT_EQ(say(*open(StarttlsProtocol::kImap), {"A1 LOGOUT\r\n"}).state, kEnded);
}

TEST(ImapStarttls, DoesNotEchoWhatIsNoTag) {
  for (const auto line : {"\r\n", "alone\r\n", "{5} STARTTLS\r\n", "a\"b STARTTLS\r\n", " STARTTLS\r\n"}) {
    const auto step = open(StarttlsProtocol::kImap)->feed(sent(line));
    EXPECT_EQ(step.state, kNeedMore) << line;
    EXPECT_THAT(step.reply, StartsWith("* BAD")) << line;
  }
}

TEST(Pop3Starttls, OffersStlsAndRefusesToLogInBefore) {
  const auto pop3 = open(StarttlsProtocol::kPop3);
  EXPECT_EQ(say(*pop3, {"CAPA\r\n"}).reply, "+OK Capability list follows\r\nSTLS\r\n.\r\n");
  EXPECT_THAT(say(*pop3, {"USER me\r\n"}).reply, StartsWith("-ERR"));
  EXPECT_EQ(say(*pop3, {"QUIT\r\n"}).state, StarttlsState::kPlaintext);
  EXPECT_EQ(say(*open(StarttlsProtocol::kPop3), {"QUIT\r\n"}).state, kEnded);
}

TEST(PostgresStarttls, BeginsTlsWithoutARequestAndConsumesNothing) {
  const auto step = open(StarttlsProtocol::kPostgres)->feed(sent("\x16\x03\x01\x02\x00\x01"sv));
  EXPECT_EQ(step.state, kTlsBegins);
  EXPECT_EQ(step.consumed_bytes, 0U);
  EXPECT_EQ(step.reply, "");
}

TEST(PostgresStarttls, RefusesGssEncryptionAndGoesOn) {
  const auto postgres = open(StarttlsProtocol::kPostgres);
  const auto refused = postgres->feed(sent(kPostgresGss));
  EXPECT_EQ(refused.state, kNeedMore);
  EXPECT_EQ(refused.reply, "N");
  EXPECT_EQ(refused.consumed_bytes, 8U);
  EXPECT_EQ(postgres->feed(sent(kPostgresSsl)).state, kTlsBegins);
}

TEST(PostgresStarttls, AsksForNothingTwice) {
  const auto postgres = open(StarttlsProtocol::kPostgres);
  EXPECT_EQ(say(*postgres, {kPostgresGss, kPostgresGss}).state, kMalformed);
}

TEST(PostgresStarttls, TellsAPlaintextClientThatTlsIsRequired) {
  const auto step =
      open(StarttlsProtocol::kPostgres)->feed(sent("\x00\x00\x00\x11\x00\x03\x00\x00user\0me\0\0"sv));
  EXPECT_EQ(step.state, kPlaintext);
  ASSERT_GT(step.reply.size(), 5U);
  EXPECT_EQ(step.reply[0], 'E');
  EXPECT_EQ(static_cast<std::size_t>(static_cast<std::uint8_t>(step.reply[4])), step.reply.size() - 1);
  EXPECT_THAT(step.reply, HasSubstr("SFATAL\0"s));
  EXPECT_THAT(step.reply, HasSubstr("C28000\0"s));
  EXPECT_THAT(step.reply, HasSubstr("TLS required"));
  EXPECT_THAT(step.reply, EndsWith("\0\0"s));
}

TEST(PostgresStarttls, LeavesAPlaintextCancelRequestToTheCallerOnceItIsWhole) {
  const auto request = "\x00\x00\x00\x10\x04\xD2\x16\x2E\x00\x00\x00\x01\x00\x00\x00\x02"sv;
  for (std::size_t size = 0; size < request.size(); ++size)
    EXPECT_EQ(open(StarttlsProtocol::kPostgres)->feed(sent(request.substr(0, size))).state, kNeedMore)
        << size;
  const auto step = open(StarttlsProtocol::kPostgres)->feed(sent(request));
  EXPECT_EQ(step.state, StarttlsState::kCancel);
  EXPECT_EQ(step.reply, "");
  EXPECT_EQ(step.consumed_bytes, 0U);
}

TEST(PostgresStarttls, RefusesACancelRequestOfALengthThatItCannotHave) {
  for (const auto& length : {"\x00\x00\x00\x0F"s, "\x00\x00\x01\x0D"s, "\x00\x01\x00\x10"s})
    EXPECT_EQ(open(StarttlsProtocol::kPostgres)
                  ->feed(sent(length + "\x04\xD2\x16\x2E"s + std::string(300, 'x')))
                  .state,
              kMalformed);
}

TEST(PostgresStarttls, RefusesOtherProtocols) {
  EXPECT_EQ(open(StarttlsProtocol::kPostgres)->feed(sent("GET / HTTP/1.1\r\n")).state, kMalformed);
  EXPECT_EQ(open(StarttlsProtocol::kPostgres)->feed(sent("\x00\x00\x00\x11\x00\x02\x00\x00"sv)).state,
            kMalformed);
}

TEST(LdapStarttls, AnswersOtherRequestsInKindWithConfidentialityRequired) {
  const auto bind = "\x30\x0C\x02\x01\x07\x60\x07\x02\x01\x03\x04\x00\x80\x00"sv;
  const auto step = open(StarttlsProtocol::kLdap)->feed(sent(bind));
  EXPECT_EQ(step.state, kNeedMore);
  EXPECT_EQ(step.consumed_bytes, bind.size());
  EXPECT_EQ(step.reply, "\x30\x1A\x02\x01\x07\x61\x15\x0A\x01\x0D\x04\x00\x04\x0E"s + "StartTLS first");
}

TEST(LdapStarttls, AnswersNothingToAbandonAndEndsOnUnbind) {
  const auto ldap = open(StarttlsProtocol::kLdap);
  const auto abandoned = ldap->feed(sent("\x30\x06\x02\x01\x02\x50\x01\x01"sv));
  EXPECT_EQ(abandoned.state, kNeedMore);
  EXPECT_EQ(abandoned.reply, "");
  EXPECT_EQ(ldap->feed(sent("\x30\x05\x02\x01\x03\x42\x00"sv)).state, kEnded);
}

TEST(LdapStarttls, NamesAClientThatLeavesBecauseItDoesNotUseTls) {
  const auto ldap = open(StarttlsProtocol::kLdap);
  static_cast<void>(ldap->feed(sent("\x30\x0C\x02\x01\x07\x60\x07\x02\x01\x03\x04\x00\x80\x00"sv)));
  const auto step = ldap->feed(sent("\x30\x05\x02\x01\x03\x42\x00"sv));
  EXPECT_EQ(step.state, kPlaintext);
  EXPECT_THAT(std::string(step.why), HasSubstr("does not ask for TLS"));
}

TEST(MailStarttls, NamesAClientThatLeavesBecauseItDoesNotUseTls) {
  EXPECT_EQ(say(*open(StarttlsProtocol::kSmtp), {"EHLO a\r\n", "MAIL FROM:<a@b>\r\n", "QUIT\r\n"}).state,
            kPlaintext);
  EXPECT_EQ(say(*open(StarttlsProtocol::kImap), {"a LOGIN x y\r\n", "b LOGOUT\r\n"}).state, kPlaintext);
  EXPECT_EQ(say(*open(StarttlsProtocol::kPop3), {"USER x\r\n", "QUIT\r\n"}).state, kPlaintext);
  EXPECT_EQ(say(*open(StarttlsProtocol::kSmtp), {"EHLO a\r\n", "QUIT\r\n"}).state, kEnded);
}

TEST(MailStarttls, SaysWhyADialogueIsMalformed) {
  const auto why = [](std::string_view bytes) {
    return std::string(open(StarttlsProtocol::kSmtp)->feed(sent(bytes)).why);
  };
  EXPECT_THAT(why("\x16\x03\x01"), HasSubstr("without asking"));
  EXPECT_THAT(why(std::string(3000, 'x')), HasSubstr("2048"));
  EXPECT_THAT(why("STARTTLS\r\nx"), HasSubstr("behind the request"));
}

TEST(LdapStarttls, TakesLongFormLengthsAndLongMessageIds) {
  const std::string request =
      "\x30\x84\x00\x00\x00\x1F\x02\x03\x01\x00\x00\x77\x18\x80\x16"s + "1.3.6.1.4.1.1466.20037";
  const auto step = open(StarttlsProtocol::kLdap)->feed(sent(request));
  EXPECT_EQ(step.state, kTlsBegins);
  EXPECT_THAT(step.reply, StartsWith("\x30\x26\x02\x03\x01\x00\x00\x78"s));
}

TEST(LdapStarttls, RefusesWhatIsNoMessage) {
  for (const auto input :
       {"\x16\x03\x01"sv, "GET"sv, "\x30\x80\x02\x01\x01"sv, "\x30\x85\x00\x00\x00\x00\x01"sv,
        "\x30\x84\x7F\xFF\xFF\xFF"sv, "\x30\x03\x04\x01\x01"sv, "\x30\x00"sv,
        "\x30\x05\x02\x01\x01\x61\x00"sv, "\x30\x06\x02\x01\x01\x60\x09\x00"sv}) {
    EXPECT_EQ(open(StarttlsProtocol::kLdap)->feed(sent(input)).state, kMalformed)
        << testing::PrintToString(input);
  }
}

TEST(LdapStarttls, CutsOffAClientThatNeverAsksForTls) {
  const auto ldap = open(StarttlsProtocol::kLdap);
  int requests = 0;
  while (ldap->feed(sent("\x30\x05\x02\x01\x01\x60\x00"sv)).state == kNeedMore) ASSERT_LT(++requests, 100);
}

}  // namespace
}  // namespace headgate
