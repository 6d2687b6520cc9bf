#include "supervisor/certificate_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/supervisor/process_parts.h"
#include "unit/tls/test_pki.h"

namespace headgate {
namespace {

using std::chrono::hours;
using test::issue;
using testing::HasSubstr;

/// A watch over the certificates of one listener. The test says what time it is.
class CertificateWatchTest : public testing::Test {
 protected:
  CertificateWatchTest() {
    config_ = plain_config(*Address::parse("127.0.0.1:1"));
    config_.listeners[0].tls.emplace();
  }
  void list(const test::Issued& issued, const std::string& file) {
    config::Certificate one;
    one.certificate = directory_.write(file, issued.pem());
    config_.listeners[0].tls->certificates.push_back(one);
  }
  std::shared_ptr<const Snapshot> build(const Snapshot* before = nullptr) {
    Diagnostics faults;
    auto snapshot = Snapshot::build(config_, {.snapshot = before}, servers_, now_, faults);
    EXPECT_NE(snapshot, nullptr);
    return snapshot;
  }
  [[nodiscard]] ProcessState state() const { return parts_.board.copy(); }
  [[nodiscard]] std::uint64_t expiring() const { return state().certificate_counts["web"].expiring; }

  WallTime now_ = std::chrono::system_clock::now();
  test::TemporaryDirectory directory_;
  config::Config config_;
  ServerDirectory servers_;
  ProcessParts parts_{plain_config(*Address::parse("127.0.0.1:1"))};
  std::vector<std::string> read_again_;
  CertificateWatch watch_{*parts_.log, parts_.board, [this](const auto& files) { read_again_ = files; }};
};

TEST_F(CertificateWatchTest, CountsACertificateWhenAQuarterOfItsLifeIsLeft) {
  list(issue({.from = -hours(1), .until = hours(99)}), "a.pem");
  watch_.follow(build(), now_);
  EXPECT_EQ(expiring(), 0U);
  watch_.step(now_ + hours(73));
  EXPECT_EQ(expiring(), 0U);
  watch_.step(now_ + hours(75));
  EXPECT_EQ(expiring(), 1U);
}

TEST_F(CertificateWatchTest, NamesANameThatNoValidCertificateServes) {
  list(issue({.common_name = "a.example", .until = hours(10)}), "a.pem");
  list(issue({.dns = {"a.example", "b.example"}, .until = hours(20)}), "b.pem");
  watch_.follow(build(), now_);
  watch_.step(now_ + hours(15));
  EXPECT_EQ(state().unserved_name, "");
  watch_.step(now_ + hours(25));
  EXPECT_THAT(state().unserved_name, HasSubstr("listener web has no valid certificate for a.example"));
}

TEST_F(CertificateWatchTest, NamesANameOfARouteThatNoCertificateHas) {
  list(issue({.dns = {"a.example", "*.b.example"}}), "a.pem");
  config::Route route;
  route.sni = {"a.example", "x.b.example", "*"};
  route.backend = "app";
  config::Route passed = route;
  passed.sni = {"elsewhere.example"};
  passed.passthrough = true;
  config_.listeners[0].routes = {route, passed};
  watch_.follow(build(), now_);
  EXPECT_EQ(state().unserved_name, "");
  config_.listeners[0].routes[0].sni.push_back("c.example");
  watch_.follow(build(), now_);
  EXPECT_THAT(state().unserved_name, HasSubstr("c.example, which a route has"));
}

TEST_F(CertificateWatchTest, HasAFileReadAgainWhenItsCertificateBecomesValid) {
  list(issue({.until = hours(100)}), "a.pem");
  const auto first = build();
  const std::string file = directory_.write("a.pem", issue({.from = hours(2), .until = hours(200)}).pem());
  watch_.follow(build(first.get()), now_);
  EXPECT_EQ(state().certificate_counts["web"].refused, 1U);
  watch_.step(now_ + hours(1));
  EXPECT_THAT(read_again_, testing::IsEmpty());
  watch_.step(now_ + hours(3));
  EXPECT_THAT(read_again_, testing::ElementsAre(file));
  read_again_.clear();
  watch_.step(now_ + hours(4));
  EXPECT_THAT(read_again_, testing::IsEmpty());
}

TEST_F(CertificateWatchTest, LooksAgainWhenTheClockWasSetBack) {
  list(issue({.from = -hours(1), .until = hours(99)}), "a.pem");
  watch_.follow(build(), now_ + hours(80));
  EXPECT_EQ(expiring(), 1U);
  watch_.step(now_);
  EXPECT_EQ(expiring(), 0U);
}

}  // namespace
}  // namespace headgate
