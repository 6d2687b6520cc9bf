#include "net/starttls/mysql_packet.h"

#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/starttls/dialogue.h"
#include "net/starttls/request.h"

namespace headgate {
namespace {

using namespace std::literals;
using GreetingState = mysql::Greeting::State;

std::span<const std::byte> mysql_bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

std::string mysql_packet(char number, std::string_view payload) {
  return std::string{static_cast<char>(payload.size()), '\0', '\0', number} + std::string(payload);
}

constexpr std::size_t kTlsByteOfGreeting = 4 + 1 + 7 + 13 + 1;

std::string mysql_greeting(bool offers_tls) {
  std::string payload =
      "\x0A"
      "8.0.99\0"
      "\x09\0\0\0"
      "12345678\0"
      "\xFF\xF7\x2D\x02\0\xFF\x81\x15"s;
  if (offers_tls) payload[kTlsByteOfGreeting - 4] = '\xFF';
  return mysql_packet(0, payload + std::string(10, '\0') + "123456789012\0caching_sha2_password\0"s);
}

/// The first bytes of a login; `tls` is the high byte of the capabilities' lower half.
std::string mysql_head(char tls) {
  return "\x05"s + tls + "\x0F\0\0\0\0\x01\x2D"s + std::string(23, '\0');
}
const std::string kMysqlRequest = mysql_packet(1, mysql_head('\xAA'));
const std::string kMysqlLogin = mysql_packet(1, mysql_head('\xA2') + "user\0secret"s);

TEST(MysqlGreeting, SaysWhereItEndsAndWhetherItOffersTls) {
  for (const bool offers : {true, false}) {
    const std::string greeting = mysql_greeting(offers);
    const auto read = mysql::read_greeting(mysql_bytes(greeting + "behind"));
    EXPECT_EQ(read.state, GreetingState::kDone);
    EXPECT_EQ(read.size_bytes, greeting.size());
    EXPECT_EQ(read.offers_tls, offers);
  }
}

TEST(MysqlGreeting, NeedsMoreInEachPrefix) {
  const std::string greeting = mysql_greeting(true);
  for (std::size_t n = 0; n < greeting.size(); ++n)
    EXPECT_EQ(mysql::read_greeting(mysql_bytes(greeting).first(n)).state, GreetingState::kNeedMore) << n;
}

TEST(MysqlGreeting, WithAnyByteDamagedIsReadOrRefusedButNeverOverrun) {
  const std::string greeting = mysql_greeting(true);
  for (std::size_t at = 0; at < greeting.size(); ++at) {
    for (const char damage : {'\0', '\x01', '\x7F', '\xFF'}) {
      std::string damaged = greeting;
      damaged[at] = damage;
      const auto read = mysql::read_greeting(mysql_bytes(damaged));
      if (read.state == GreetingState::kDone) {
        EXPECT_LE(read.capabilities_at + 2, damaged.size());
      }
    }
  }
}

TEST(MysqlGreeting, ThatIsAnErrorHasItsWords) {
  const std::string full = mysql_packet(0, "\xFF\x10\x04Too many connections");
  const auto read = mysql::read_greeting(mysql_bytes(full));
  EXPECT_EQ(read.state, GreetingState::kError);
  EXPECT_EQ(read.error, "Too many connections");
  const std::string blocked = mysql_packet(0, "\xFF\x69\x04#HY000blocked");
  EXPECT_EQ(mysql::read_greeting(mysql_bytes(blocked)).error, "blocked");
  const std::string bare = mysql_packet(0, "\xFF");
  EXPECT_EQ(mysql::read_greeting(mysql_bytes(bare)).error, "");
}

TEST(MysqlGreeting, OfAnotherProtocolIsMalformed) {
  for (const auto other :
       {"220 mail\r\n"sv, "\x05\0\0\0\x09gone"sv, "\x01\0\0\1\x0A"sv, "\xFF\xFF\xFF\0\x0A"sv})
    EXPECT_EQ(mysql::read_greeting(mysql_bytes(other)).state, GreetingState::kMalformed) << other;
}

TEST(MysqlGreeting, IsMadeToOfferTlsOrNotInOneBit) {
  for (const bool offers : {true, false}) {
    std::string greeting = mysql_greeting(offers);
    const auto read = mysql::read_greeting(mysql_bytes(greeting));
    mysql::set_offer(std::as_writable_bytes(std::span(greeting)), read,
                     offers ? mysql::Offer::kNoTls : mysql::Offer::kTls);
    EXPECT_EQ(greeting, mysql_greeting(!offers));
  }
}

TEST(MysqlAnswer, TellsARequestForTlsFromALogin) {
  EXPECT_EQ(mysql::read_answer(mysql_bytes(kMysqlRequest)), mysql::Answer::kRequest);
  EXPECT_EQ(mysql::read_answer(mysql_bytes(kMysqlRequest + "\x16\x03\x01")), mysql::Answer::kRequest);
  EXPECT_EQ(mysql::read_answer(mysql_bytes(kMysqlLogin)), mysql::Answer::kLogin);
  EXPECT_EQ(mysql::read_answer(mysql_bytes(kMysqlLogin).first(mysql::kRequestBytes)), mysql::Answer::kLogin);
  for (std::size_t n = 0; n < mysql::kRequestBytes; ++n)
    EXPECT_EQ(mysql::read_answer(mysql_bytes(kMysqlRequest).first(n)), mysql::Answer::kNeedMore) << n;
}

TEST(MysqlAnswer, OfAnotherKindIsMalformed) {
  EXPECT_EQ(mysql::read_answer(mysql_bytes("\x16\x03\x01\x02\x00"sv)), mysql::Answer::kMalformed)
      << "TLS at once";
  EXPECT_EQ(mysql::read_answer(mysql_bytes(mysql_packet(0, mysql_head('\xAA')))), mysql::Answer::kMalformed);
  EXPECT_EQ(mysql::read_answer(mysql_bytes(mysql_packet(1, "before 4.1"))), mysql::Answer::kMalformed);
  EXPECT_EQ(mysql::read_answer(mysql_bytes(mysql_packet(1, mysql_head('\xA8')))), mysql::Answer::kMalformed);
  EXPECT_EQ(mysql::read_answer(mysql_bytes(mysql_packet(1, mysql_head('\xA2')))), mysql::Answer::kMalformed);
}

TEST(MysqlRequestFor, HasTheCapabilitiesOfTheLoginAndAsksForTls) {
  const auto request = mysql::request_for(mysql_bytes(kMysqlLogin));
  EXPECT_TRUE(std::ranges::equal(request, mysql_bytes(kMysqlRequest)));
  EXPECT_TRUE(std::ranges::equal(mysql::request_for(mysql_bytes(kMysqlRequest)), mysql_bytes(kMysqlRequest)));
}

TEST(MysqlRequestOfACheck, IsOneThatAServerReads) {
  EXPECT_EQ(mysql::read_answer(mysql::request_of_a_check()), mysql::Answer::kRequest);
}

TEST(MysqlStarttls, GreetsAsTheServerAndBeginsTlsWithoutAnAnswer) {
  const std::string greeting = mysql_greeting(true);
  const auto dialogue = open_mysql_starttls(mysql_bytes(greeting));
  EXPECT_EQ(dialogue->greeting(), greeting);
  const auto step = dialogue->feed(mysql_bytes(kMysqlRequest + "\x16\x03\x01"));
  EXPECT_EQ(step.state, StarttlsState::kTlsBegins);
  EXPECT_EQ(step.consumed_bytes, kMysqlRequest.size()) << "the rest is the beginning of the ClientHello";
  EXPECT_EQ(step.reply, "");
}

TEST(MysqlStarttls, TellsAClientWithoutTlsWhatToChange) {
  const auto step = open_mysql_starttls(mysql_bytes(mysql_greeting(true)))->feed(mysql_bytes(kMysqlLogin));
  EXPECT_EQ(step.state, StarttlsState::kPlaintext);
  EXPECT_EQ(step.reply.substr(3, 11), "\x02\xFF\x57\x0C#HY000TLS"s.substr(0, 11));
  EXPECT_THAT(std::string(step.why), testing::HasSubstr("ssl-mode=REQUIRED"));
}

TEST(MysqlRequest, AsksAServerThatOffersTlsAndNoOther) {
  const auto asked = open_starttls_request(StarttlsProtocol::kMysql)->feed(mysql_bytes(mysql_greeting(true)));
  EXPECT_EQ(asked.state, RequestState::kTlsBegins);
  EXPECT_EQ(mysql::read_answer(mysql_bytes(asked.say)), mysql::Answer::kRequest);
  const auto without =
      open_starttls_request(StarttlsProtocol::kMysql)->feed(mysql_bytes(mysql_greeting(false)));
  EXPECT_EQ(without.state, RequestState::kRefused);
  EXPECT_EQ(without.why, "the server has no TLS: give it a certificate");
  const auto injected = open_starttls_request(StarttlsProtocol::kMysql)
                            ->feed(mysql_bytes(mysql_greeting(true) + "\x07\0\0\2"s));
  EXPECT_EQ(injected.state, RequestState::kPlaintextBehind);
}

/// A login as both sides of it see it.
class MysqlLoginTest : public testing::Test {
 protected:
  /// Passes `packet` in pieces of `piece_bytes`.
  static std::string passed(mysql::Login& login, bool from_client, std::string packet,
                            std::size_t piece_bytes) {
    const auto bytes = std::as_writable_bytes(std::span(packet));
    for (std::size_t at = 0; at < bytes.size(); at += piece_bytes) {
      const auto piece = bytes.subspan(at, std::min(piece_bytes, bytes.size() - at));
      if (from_client) {
        login.from_client(piece);
      } else {
        login.from_server(piece);
      }
    }
    return packet;
  }
};

TEST_F(MysqlLoginTest, IsFittedToAServerWithoutTlsInAllItsRounds) {
  for (const std::size_t piece_bytes : {std::size_t{1}, std::size_t{3}, std::size_t{1000}}) {
    mysql::Login login(mysql::Login::TlsSide::kClient);
    const std::string with_tls = mysql_head('\xAA') + "user", without = mysql_head('\xA2') + "user";
    EXPECT_EQ(passed(login, true, mysql_packet(2, with_tls), piece_bytes), mysql_packet(1, without));
    EXPECT_EQ(passed(login, false, mysql_packet(2, "\xFEnext"), piece_bytes), mysql_packet(3, "\xFEnext"));
    EXPECT_EQ(passed(login, true, mysql_packet(4, "proof"), piece_bytes), mysql_packet(3, "proof"));
    EXPECT_EQ(passed(login, false, mysql_packet(4, "\x01\x04"), piece_bytes), mysql_packet(5, "\x01\x04"));
    EXPECT_EQ(passed(login, true, mysql_packet(6, ""), piece_bytes), mysql_packet(5, ""))
        << "an empty packet";
    EXPECT_FALSE(login.is_over());
    EXPECT_EQ(passed(login, false, mysql_packet(6, "\0\0\0"s), piece_bytes), mysql_packet(7, "\0\0\0"s));
    EXPECT_TRUE(login.is_over());
    EXPECT_EQ(passed(login, true, mysql_packet(0, "\x03select 1"), piece_bytes),
              mysql_packet(0, "\x03select 1"));
    EXPECT_EQ(passed(login, false, mysql_packet(1, "\0"s), piece_bytes), mysql_packet(1, "\0"s));
  }
}

TEST_F(MysqlLoginTest, IsFittedToAServerWithTls) {
  mysql::Login login(mysql::Login::TlsSide::kServer);
  EXPECT_EQ(passed(login, true, kMysqlLogin, 5), mysql_packet(2, mysql_head('\xAA') + "user\0secret"s));
  EXPECT_EQ(passed(login, false, mysql_packet(3, "\xFF\x15\x04#28000no"), 5),
            mysql_packet(2, "\xFF\x15\x04#28000no"));
  EXPECT_TRUE(login.is_over()) << "refused";
}

TEST_F(MysqlLoginTest, EndsWithTheLastByteOfTheDecisionAndNotBefore) {
  mysql::Login login(mysql::Login::TlsSide::kClient);
  const std::string ok = mysql_packet(2, "\0\0\0\2\0"s);
  std::string piece = ok.substr(0, ok.size() - 1);
  login.from_server(std::as_writable_bytes(std::span(piece)));
  EXPECT_FALSE(login.is_over());
  piece = ok.substr(ok.size() - 1) + mysql_packet(9, "behind");
  login.from_server(std::as_writable_bytes(std::span(piece)));
  EXPECT_TRUE(login.is_over());
  EXPECT_EQ(piece.substr(1), mysql_packet(9, "behind")) << "what stands behind it passes as it is";
}

}  // namespace
}  // namespace headgate
