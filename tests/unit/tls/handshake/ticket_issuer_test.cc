#include "tls/handshake/ticket_issuer.h"

#include <algorithm>
#include <optional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text_of.h"
#include "tls/certificate/der.h"
#include "tls/octets.h"
#include "unit/tls/tls13_pair.h"

namespace headgate {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

const WallTime kIssued{hours(500'000)};
constexpr std::size_t kHeadBytes = 4 + 4 + 4 + 2 + 2;  // the bytes of a message before the ticket

/// A NewSessionTicket as a client reads it.
struct Message {
  seconds lifetime;
  std::uint32_t age_add;
  std::uint8_t nonce;
  std::vector<std::byte> ticket;
};

std::uint32_t number_at(Octets bytes, std::size_t at, std::size_t octets) {
  std::uint32_t number = 0;
  for (std::size_t i = 0; i < octets; ++i) number = number << 8 | octet_at(bytes, at + i);
  return number;
}

std::vector<Message> parse(Octets bytes) {
  std::vector<Message> messages;
  while (bytes.size() >= kHeadBytes) {
    EXPECT_EQ(octet_at(bytes, 0), 4);
    const std::size_t size = number_at(bytes, 1, 3);
    EXPECT_EQ(octet_at(bytes, 12), 1) << "the nonce's length";
    const std::size_t ticket_size = number_at(bytes, 14, 2);
    EXPECT_EQ(size, 4 + 4 + 2 + 2 + ticket_size + 2);
    const auto ticket = bytes.subspan(kHeadBytes, ticket_size);
    messages.push_back({.lifetime = seconds(number_at(bytes, 4, 4)),
                        .age_add = number_at(bytes, 8, 4),
                        .nonce = octet_at(bytes, 13),
                        .ticket = {ticket.begin(), ticket.end()}});
    EXPECT_EQ(number_at(bytes, kHeadBytes + ticket_size, 2), 0U) << "no extension";
    bytes = bytes.subspan(4 + size);
  }
  EXPECT_TRUE(bytes.empty());
  return messages;
}

class TicketIssuerTest : public testing::Test {
 protected:
  std::unique_ptr<LibraryContext> library = std::move(*LibraryContext::make());
  std::shared_ptr<TicketSecrets> secrets = some_secrets();
  TicketKeys keys{*library, secrets};
  TicketIssuer issuer{*library, keys};
  SessionPtr session = tls13_session(RecordSuite::kAes128GcmSha256);
  std::vector<std::byte> bound = std::vector<std::byte>(5, std::byte{'b'});
  std::vector<std::byte> resumption_secret = std::vector<std::byte>(32, std::byte{7});

  static std::shared_ptr<TicketSecrets> some_secrets() {
    auto made = std::make_shared<TicketSecrets>();
    made->secrets.push_back({parse_ticket_secrets(new_secret_file().value())->front(), WallTime::max()});
    return made;
  }

  /// The session of a server's finished handshake.
  static SessionPtr tls13_session(RecordSuite suite) {
    const Tls13Pair pair({.suite = suite, .our_role = TlsRole::kClient});
    return SessionPtr(SSL_get1_session(pair.peer.get()));
  }

  std::vector<Message> issue(std::size_t count, seconds lifetime = hours(12)) {
    return parse(issuer.issue({.session = session.get(),
                               .app_data = bound,
                               .resumption_secret = resumption_secret,
                               .count = count,
                               .lifetime = lifetime},
                              kIssued));
  }

  /// The session in a ticket.
  struct Opened {
    std::uint32_t version = 0;
    std::vector<std::byte> key, app_data;
  };

  /// Reads OpenSSL's encoding of a session, of which the first five fields are always there.
  static std::optional<Opened> read(Octets encoded) {
    const auto session = DerReader(encoded).next(kDerSequence);
    if (!session) return std::nullopt;
    DerReader fields(session->content);
    const auto of_the_encoding = fields.next(kDerInteger), version = fields.next(kDerInteger);
    const auto cipher = fields.next(kDerOctetString), id = fields.next(kDerOctetString);
    const auto key = fields.next(kDerOctetString);
    if (!of_the_encoding || !version || !cipher || !id || !key) return std::nullopt;
    Opened opened{.version = number_at(version->content, 0, version->content.size()),
                  .key = {key->content.begin(), key->content.end()},
                  .app_data = {}};
    while (const auto field = fields.next()) {
      if (field->tag != der_context(18)) continue;
      const auto data = DerReader(field->content).next(kDerOctetString);
      if (data) opened.app_data.assign(data->content.begin(), data->content.end());
    }
    return opened;
  }

  /// Returns the session in a ticket; nothing when the ticket was not protected with the issuing key.
  std::optional<Opened> open(const Message& message) {
    const TicketKey& key = *keys.issuing(kIssued);
    const Octets ticket = message.ticket;
    std::array<std::byte, 32> mac{};
    extract(Hash::kSha256, std::as_bytes(std::span(key.mac)), ticket.first(ticket.size() - mac.size()), mac);
    if (!std::ranges::equal(mac, ticket.last(mac.size()))) return std::nullopt;
    if (!std::ranges::equal(std::as_bytes(std::span(key.name)), ticket.first(16))) return std::nullopt;
    const CipherCtxPtr cipher(EVP_CIPHER_CTX_new());
    const Octets iv = ticket.subspan(16, 16);
    const Octets sealed = ticket.subspan(32, ticket.size() - 64);
    std::vector<unsigned char> encoded(sealed.size());
    int size = 0;
    int rest = 0;
    EXPECT_EQ(
        EVP_DecryptInit_ex(cipher.get(), EVP_aes_256_cbc(), nullptr, key.aes.data(), as_octets(iv.data())),
        1);
    EXPECT_EQ(EVP_DecryptUpdate(cipher.get(), encoded.data(), &size, as_octets(sealed.data()),
                                static_cast<int>(sealed.size())),
              1);
    EXPECT_EQ(EVP_DecryptFinal_ex(cipher.get(), encoded.data() + size, &rest), 1);
    return read(std::as_bytes(std::span(encoded)).first(static_cast<std::size_t>(size + rest)));
  }

  std::vector<std::byte> expected_key(std::uint8_t nonce) {
    std::vector<std::byte> key(resumption_secret.size());
    const Hash hash = key.size() == 48 ? Hash::kSha384 : Hash::kSha256;
    const auto octet = static_cast<std::byte>(nonce);
    expand_label(hash, resumption_secret, "resumption", std::span(&octet, 1), key);
    return key;
  }
};

TEST_F(TicketIssuerTest, GivesEachTicketTheKeyThatItsNonceLeadsTo) {
  const auto messages = issue(3);
  ASSERT_EQ(messages.size(), 3U);
  for (std::size_t i = 0; i < messages.size(); ++i) {
    EXPECT_EQ(messages[i].nonce, i);
    EXPECT_EQ(messages[i].lifetime, hours(12));
    const auto opened = open(messages[i]);
    ASSERT_TRUE(opened);
    EXPECT_EQ(opened->key, expected_key(messages[i].nonce));
    EXPECT_EQ(opened->version, std::uint32_t{TLS1_3_VERSION});
    EXPECT_EQ(text_of(opened->app_data), "bbbbb");
  }
  EXPECT_NE(messages[0].ticket, messages[1].ticket);
  EXPECT_NE(std::vector(messages[0].ticket.begin() + 16, messages[0].ticket.begin() + 32),
            std::vector(messages[1].ticket.begin() + 16, messages[1].ticket.begin() + 32))
      << "an IV serves once";
}

TEST_F(TicketIssuerTest, TakesTheHashOfTheSuite) {
  resumption_secret.assign(48, std::byte{9});
  session = tls13_session(RecordSuite::kAes256GcmSha384);
  const auto messages = issue(2);
  ASSERT_EQ(messages.size(), 2U);
  const auto opened = open(messages[1]);
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->key, expected_key(1));
}

TEST_F(TicketIssuerTest, HidesTheAgeOfEachTicketDifferently) {
  std::vector<std::uint32_t> seen;
  for (const Message& message : issue(8)) seen.push_back(message.age_add);
  std::ranges::sort(seen);
  EXPECT_GT(std::ranges::distance(seen.begin(), std::ranges::unique(seen).begin()), 6);
}

TEST_F(TicketIssuerTest, NamesAWeekAtMost) {
  const auto messages = issue(1, hours(1000));
  ASSERT_EQ(messages.size(), 1U);
  EXPECT_EQ(messages[0].lifetime, hours(7 * 24));
}

TEST_F(TicketIssuerTest, IssuesNothingForASessionAtItsEnd) {
  EXPECT_TRUE(issue(2, seconds(0)).empty());
  EXPECT_TRUE(issue(2, seconds(-5)).empty());
  EXPECT_TRUE(issue(0).empty());
}

TEST_F(TicketIssuerTest, IssuesNothingWithoutAKey) {
  secrets->secrets.clear();
  EXPECT_TRUE(issue(1).empty());
}

TEST_F(TicketIssuerTest, IssuesNothingWhereATicketCannotHoldTheSession) {
  bound = std::vector<std::byte>(66'000, std::byte{'m'});
  EXPECT_TRUE(issue(1).empty());
}

}  // namespace
}  // namespace headgate
