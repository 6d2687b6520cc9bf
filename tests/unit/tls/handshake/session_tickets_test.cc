#include "tls/handshake/session_tickets.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tls/handshake/session_binding.h"
#include "unit/tls/test_pki.h"

namespace headgate {
namespace {

using std::chrono::hours;
using test::TemporaryDirectory;

const LibraryContext& library() {
  static const auto made = LibraryContext::make();
  return **made;
}

std::shared_ptr<TicketSecrets> secrets_of(const std::string& file_text) {
  auto secrets = std::make_shared<TicketSecrets>();
  const auto parsed = parse_ticket_secrets(file_text);
  for (const TicketSecret& one : *parsed) secrets->secrets.push_back({one, WallTime::max()});
  secrets->rotate_every = hours(6);
  secrets->lifetime = hours(12);
  return secrets;
}

/// The middle of a slot, so that small steps stay within it.
const WallTime kTicketTime{hours(6 * 80'000 + 3)};

TEST(TicketKeys, FollowFromSecretAndTimeAlone) {
  const std::string file = new_secret_file().value();
  TicketKeys one(library(), secrets_of(file));
  TicketKeys other(library(), secrets_of(file));
  const TicketKey* mine = one.issuing(kTicketTime);
  const TicketKey* theirs = other.issuing(kTicketTime + hours(1));
  ASSERT_NE(mine, nullptr);
  EXPECT_EQ(mine->name, theirs->name);
  EXPECT_EQ(mine->aes, theirs->aes);
  EXPECT_EQ(mine->mac, theirs->mac);
}

TEST(TicketKeys, OfAnotherSecretAreOthers) {
  TicketKeys one(library(), secrets_of(new_secret_file().value()));
  TicketKeys other(library(), secrets_of(new_secret_file().value()));
  EXPECT_EQ(other.find(one.issuing(kTicketTime)->name, kTicketTime), nullptr);
}

TEST(TicketKeys, RotateByThemselvesAndOpenOldTicketsForOneLifetime) {
  TicketKeys keys(library(), secrets_of(new_secret_file().value()));
  const auto first = keys.issuing(kTicketTime)->name;
  EXPECT_NE(keys.issuing(kTicketTime + hours(6))->name, first);
  EXPECT_NE(keys.find(first, kTicketTime + hours(6)), nullptr);
  EXPECT_NE(keys.find(first, kTicketTime + hours(12)), nullptr);
  EXPECT_EQ(keys.find(first, kTicketTime + hours(18)), nullptr);
}

TEST(TicketKeys, OpenTicketsThroughManyRotationsIfTheLifetimeIsLong) {
  const auto secrets = secrets_of(new_secret_file().value());
  secrets->lifetime = hours(6 * 100);
  TicketKeys keys(library(), secrets);
  const auto first = keys.issuing(kTicketTime)->name;
  EXPECT_NE(keys.find(first, kTicketTime + hours(6 * config::kMaxPastTicketKeys)), nullptr);
  EXPECT_EQ(keys.find(first, kTicketTime + hours(6 * (config::kMaxPastTicketKeys + 1))), nullptr);
}

TEST(TicketKeys, OpenTicketsOfAnInstanceWhoseClockIsAhead) {
  const std::string file = new_secret_file().value();
  TicketKeys behind(library(), secrets_of(file));
  TicketKeys ahead(library(), secrets_of(file));
  EXPECT_NE(behind.find(ahead.issuing(kTicketTime + hours(6))->name, kTicketTime), nullptr);
  EXPECT_EQ(behind.find(ahead.issuing(kTicketTime + hours(12))->name, kTicketTime), nullptr);
}

TEST(TicketSecretFile, IsReadBackAsItWasMade) {
  const auto one = parse_ticket_secrets(new_secret_file().value());
  ASSERT_TRUE(one) << one.error().what;
  EXPECT_EQ(one->size(), 1U);
  const auto two = parse_ticket_secrets(new_secret_file().value() + "\r\n  \n" + new_secret_file().value());
  ASSERT_TRUE(two);
  EXPECT_FALSE(two->front() == two->back());
}

TEST(TicketSecretFile, NamesTheLineThatIsWrong) {
  const std::string good = new_secret_file().value();
  EXPECT_FALSE(parse_ticket_secrets(""));
  const auto bad = parse_ticket_secrets("# comment\nheadgate-ticket-secret-1:1234\n");
  ASSERT_FALSE(bad);
  EXPECT_THAT(bad.error().what, testing::HasSubstr("line 2"));
  const std::size_t newline = 1;
  for (std::size_t size = 0; size < good.size() - newline; ++size) {
    ASSERT_FALSE(parse_ticket_secrets(good.substr(0, size))) << size;
  }
}

class LoadingSecrets : public testing::Test {
 protected:
  Result<std::shared_ptr<const TicketSecrets>> load(const TicketSecrets* previous, WallTime now) {
    return TicketSecrets::load(settings_, previous, now);
  }
  TemporaryDirectory directory_;
  config::Resumption settings_;
};

TEST_F(LoadingSecrets, RefusesAFileThatOthersCanReadOrReplace) {
  settings_.secret_file = directory_.write("secret", new_secret_file().value());
  EXPECT_TRUE(load(nullptr, kTicketTime));
  for (const mode_t mode : {0404U, 0402U, 0420U, 0444U, 0460U}) {
    ASSERT_EQ(::chmod(settings_.secret_file.c_str(), mode), 0);
    const auto refused = load(nullptr, kTicketTime);
    ASSERT_FALSE(refused) << std::oct << mode;
    EXPECT_THAT(refused.error().what, testing::HasSubstr("chmod 600"));
  }
}

// The kubelet makes a pod's secrets so when the pod has an fsGroup.
TEST_F(LoadingSecrets, TakesAFileOfRootsThatAGroupCanRead) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root may give files away";
  settings_.secret_file = directory_.write("secret", new_secret_file().value());
  for (const mode_t mode : {0440U, 0640U}) {
    ASSERT_EQ(::chown(settings_.secret_file.c_str(), 0, 2000), 0);
    ASSERT_EQ(::chmod(settings_.secret_file.c_str(), mode), 0);
    EXPECT_TRUE(load(nullptr, kTicketTime)) << std::oct << mode;
    ASSERT_EQ(::chown(settings_.secret_file.c_str(), 10001, 2000), 0);
    EXPECT_FALSE(load(nullptr, kTicketTime)) << std::oct << mode;
  }
}

TEST_F(LoadingSecrets, KeepsTheRandomOnesOfTheProcessThroughAReload) {
  const auto first = load(nullptr, kTicketTime);
  const auto second = load(first->get(), kTicketTime);
  EXPECT_EQ((*first)->secrets.front().secret, (*second)->secrets.front().secret);
}

TEST_F(LoadingSecrets, AcceptsTheSecretBeforeForOneLifetime) {
  settings_.secret_file = directory_.write("secret", new_secret_file().value());
  const auto first = load(nullptr, kTicketTime);
  directory_.write("secret", new_secret_file().value());
  const auto second = load(first->get(), kTicketTime);
  ASSERT_EQ((*second)->secrets.size(), 2U);
  TicketKeys before(library(), *first);
  TicketKeys after(library(), *second);
  const auto name = before.issuing(kTicketTime)->name;
  EXPECT_NE(after.issuing(kTicketTime)->name, name);
  EXPECT_NE(after.find(name, kTicketTime + hours(11)), nullptr);
  EXPECT_EQ(after.find(name, kTicketTime + hours(12)), nullptr);
  const auto third = load(second->get(), kTicketTime + hours(1));
  EXPECT_EQ((*third)->secrets.back().accepted_until, kTicketTime + hours(12));
}

TEST(SessionBinding, IsReadBackAsItWasWrittenAndInNoOtherForm) {
  SessionBinding binding;
  binding.policy.fill(std::byte{1});
  binding.certificate.fill(std::byte{2});
  binding.authenticated_at = 1'700'000'000;
  binding.chain_not_after = 1'800'000'000;
  binding.issued_by.fill(std::byte{4});
  binding.trust.resize(2);
  binding.trust[1].fill(std::byte{3});
  binding.chain.resize(3);
  const auto bytes = binding.encode();
  EXPECT_EQ(SessionBinding::decode(bytes), binding);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto decoded = SessionBinding::decode(std::span(bytes).first(size));
    EXPECT_FALSE(decoded == binding);
  }
  EXPECT_FALSE(SessionBinding::decode({}));
  SessionBinding without_peer;
  without_peer.authenticated_at = 1'700'000'000;
  const auto short_form = without_peer.encode();
  EXPECT_EQ(SessionBinding::decode(short_form), without_peer);
  EXPECT_LT(short_form.size(), bytes.size());
}

}  // namespace
}  // namespace headgate
