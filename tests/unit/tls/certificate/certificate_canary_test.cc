#include "tls/certificate/certificate_canary.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tls/certificate/certificate_store.h"
#include "unit/tls/test_pki.h"

namespace headgate {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using test::issue;
using test::Issued;
using test::TemporaryDirectory;
using Counts = GroupCounts;

constexpr Duration kPlanned = minutes(10);
constexpr Duration kLong = hours(1000);

CanaryState state_of(Counts with_new, Counts with_old, Duration compared, Duration old_lives = kLong) {
  return evaluate(with_new, with_old, with_new.all(), compared, kPlanned, old_lives).state;
}

TEST(Canary, GoesBackAfterThreeFailuresWhereTheOldOneHasNone) {
  EXPECT_EQ(state_of({0, 2}, {38, 0}, minutes(1)), CanaryState::kComparing);
  EXPECT_EQ(state_of({0, 3}, {57, 0}, minutes(1)), CanaryState::kWentBack);
}

TEST(Canary, IsNotJudgedByOneFailure) {
  EXPECT_EQ(state_of({0, 1}, {1000, 0}, minutes(1)), CanaryState::kComparing);
}

TEST(Canary, GoesOnWhenTheTimeIsOverAndEnoughHandshakesWereWell) {
  EXPECT_EQ(state_of({100, 0}, {1900, 0}, minutes(9)), CanaryState::kComparing);
  EXPECT_EQ(state_of({100, 0}, {1900, 0}, minutes(10)), CanaryState::kWentOn);
}

TEST(Canary, GoesOnWhereBothFailAlike) {
  EXPECT_EQ(state_of({80, 20}, {1500, 400}, minutes(10)), CanaryState::kWentOn);
  EXPECT_EQ(state_of({90'000, 10'000}, {1'710'000, 190'200}, minutes(10)), CanaryState::kWentOn);
}

TEST(Canary, GoesBackWhereAPartOfTheClientsFails) {
  EXPECT_EQ(state_of({1850, 150}, {37'000, 1000}, minutes(1)), CanaryState::kWentBack);
}

TEST(Canary, WaitsForEnoughHandshakesButNotForever) {
  EXPECT_EQ(state_of({99, 0}, {1900, 0}, minutes(59)), CanaryState::kComparing);
  EXPECT_EQ(state_of({99, 0}, {1900, 0}, minutes(60)), CanaryState::kWentOn);
  EXPECT_EQ(state_of({0, 0}, {0, 0}, minutes(60)), CanaryState::kWentOn);
}

TEST(Canary, IsJudgedMoreStrictlyWhenTheTimeIsOver) {
  EXPECT_EQ(state_of({0, 2}, {38, 0}, minutes(59)), CanaryState::kComparing);
  EXPECT_EQ(state_of({0, 2}, {38, 0}, minutes(60)), CanaryState::kWentBack);
}

TEST(Canary, GoesOnAtOnceWhenTheOldOneIsAboutToExpire) {
  EXPECT_EQ(state_of({0, 50}, {50, 0}, minutes(1), kCanaryEndsBeforeExpiry), CanaryState::kWentOn);
}

TEST(WorseByChance, IsFishersExactTest) {
  EXPECT_NEAR(worse_by_chance({1, 3}, {3, 1}), 17.0 / 70, 1e-9);  // the lady who tastes tea
  EXPECT_NEAR(worse_by_chance({0, 2}, {38, 0}), 1.0 / 780, 1e-9);
  EXPECT_NEAR(worse_by_chance({0, 7}, {7, 0}), 1.0 / 3432, 1e-9);
}

TEST(WorseByChance, IsCertainWhereTheNewOneDoesNoWorse) {
  EXPECT_EQ(worse_by_chance({10, 1}, {10, 1}), 1);
  EXPECT_EQ(worse_by_chance({0, 5}, {0, 0}), 1);
  EXPECT_EQ(worse_by_chance({0, 0}, {0, 5}), 1);
  EXPECT_EQ(worse_by_chance({}, {}), 1);
}

/// Adds the ends of the first handshakes of so many known-good sources.
void add(CanarySources& sources, CanaryArm arm, CanaryEnding ending, SourceNetwork first, int count) {
  for (int i = 0; i < count; ++i) sources.add(first + static_cast<SourceNetwork>(i), arm, ending);
}

TEST(CanarySources, CountsTheFirstHandshakeOfASourceInEachArm) {
  CanarySources sources(7);
  add(sources, CanaryArm::kOld, CanaryEnding::kOk, 1, 1);
  for (int i = 0; i < 100; ++i) add(sources, CanaryArm::kNew, CanaryEnding::kFailed, 1, 1);
  add(sources, CanaryArm::kNew, CanaryEnding::kOk, 1, 1);
  EXPECT_EQ(sources.counts().with_new.failed, 1U);
  EXPECT_EQ(sources.counts().with_new.ok, 0U);
  EXPECT_EQ(sources.counts().with_old.ok, 1U);
}

TEST(CanarySources, CountNoFailureOfASourceThatNeverSucceeded) {
  CanarySources sources(7);
  add(sources, CanaryArm::kNew, CanaryEnding::kFailed, 1, 50);
  EXPECT_EQ(sources.counts().with_new.failed, 0U);
  add(sources, CanaryArm::kOld, CanaryEnding::kOk, 1, 20);
  EXPECT_EQ(sources.counts().with_new.failed, 20U);
}

TEST(CanarySources, KeepKnownGoodOnesWhenAFloodOfStrangersFails) {
  CanarySources sources(7);
  add(sources, CanaryArm::kOld, CanaryEnding::kOk, 1, 1000);
  add(sources, CanaryArm::kNew, CanaryEnding::kFailed, 1, 1000);
  add(sources, CanaryArm::kNew, CanaryEnding::kFailed, 1'000'000, 200'000);
  EXPECT_EQ(sources.counts().with_new.failed, 1000U);
}

/// A store that the test loads again and again, as reloads do.
class CanaryStore : public testing::Test {
 protected:
  CanaryStore() {
    config::Certificate one;
    one.certificate = directory_.write("site.pem", old_.pem());
    one.canary_percent = 5;
    tls_.certificates = {one};
    load();
  }
  bool load() {
    out_.clear();
    auto next = CertificateStore::load(tls_, store_.get(), nullptr, now_, out_);
    if (next != nullptr) store_ = std::move(next);
    return !has_errors(out_);
  }
  bool replace(const Issued& issued) {
    directory_.write("next.pem", issued.pem());
    std::filesystem::rename(directory_.path() + "/next.pem", directory_.path() + "/site.pem");
    return load();
  }
  [[nodiscard]] Selection drawn(std::uint8_t number, std::string name = "www.example.com") const {
    ClientHello hello;
    hello.server_name = std::move(name);
    return store_->select(hello, now_, {number});
  }
  [[nodiscard]] static Sha256 print(const Issued& issued) { return test::stored(issued)->fingerprint(); }
  [[nodiscard]] Sha256 shown(std::uint8_t number) const { return drawn(number).certificate->fingerprint(); }
  [[nodiscard]] CertificateCanary& canary() const { return *store_->canary(0); }

  WallTime now_ = std::chrono::system_clock::now();
  TemporaryDirectory directory_;
  Issued old_ = issue({}), fresh_ = issue({}), newest_ = issue({});
  config::Tls tls_;
  Diagnostics out_;
  std::shared_ptr<const CertificateStore> store_;
};

TEST_F(CanaryStore, HasNoCanaryBeforeTheFileChanges) {
  EXPECT_FALSE(store_->has_canaries());
  EXPECT_EQ(drawn(0).group, nullptr);
}

TEST_F(CanaryStore, ShowsTheNewOneToItsShareAndTheOldOneToTheRest) {
  ASSERT_TRUE(replace(fresh_));
  EXPECT_EQ(shown(4), print(fresh_));
  EXPECT_EQ(drawn(4).group, &canary().with_new);
  EXPECT_EQ(shown(5), print(old_));
  EXPECT_EQ(drawn(5).group, &canary().with_old);
  EXPECT_EQ(store_->listed(0).fingerprint(), print(old_));
}

TEST_F(CanaryStore, ShowsTheNewOneToAllOnceItWentOn) {
  ASSERT_TRUE(replace(fresh_));
  canary().decide(CanaryState::kWentOn);
  EXPECT_EQ(shown(99), print(fresh_));
  EXPECT_EQ(drawn(99).group, nullptr);
  ASSERT_TRUE(load());
  EXPECT_EQ(store_->canary(0), nullptr);
  EXPECT_EQ(shown(99), print(fresh_));
}

TEST_F(CanaryStore, ShowsTheOldOneToAllOnceItWentBackUntilTheFileChanges) {
  ASSERT_TRUE(replace(fresh_));
  canary().decide(CanaryState::kWentBack);
  EXPECT_EQ(shown(0), print(old_));
  ASSERT_TRUE(load());
  ASSERT_TRUE(replace(fresh_));  // the same once more
  EXPECT_EQ(shown(0), print(old_));
  ASSERT_TRUE(replace(newest_));
  EXPECT_EQ(shown(0), print(newest_));
  EXPECT_EQ(shown(99), print(old_));
}

TEST_F(CanaryStore, KeepsItsCountsOverAReloadThatBringsNothingNew) {
  ASSERT_TRUE(replace(fresh_));
  drawn(0).group->count_failed(1);
  ASSERT_TRUE(load());
  EXPECT_EQ(canary().with_new.counts().failed, 1U);
}

TEST_F(CanaryStore, StartsAgainWithTheNewestAgainstTheFirst) {
  ASSERT_TRUE(replace(fresh_));
  drawn(0).group->count_failed(1);
  ASSERT_TRUE(replace(newest_));
  EXPECT_EQ(canary().with_new.counts().failed, 0U);
  EXPECT_EQ(shown(0), print(newest_));
  EXPECT_EQ(shown(99), print(old_));
}

TEST_F(CanaryStore, IsOverWhenTheOldOneComesBack) {
  ASSERT_TRUE(replace(fresh_));
  ASSERT_TRUE(replace(old_));
  EXPECT_FALSE(store_->has_canaries());
  EXPECT_EQ(shown(0), print(old_));
}

TEST_F(CanaryStore, IsOverWhenItIsNoLongerAskedFor) {
  ASSERT_TRUE(replace(fresh_));
  tls_.certificates.front().canary_percent = 0;
  ASSERT_TRUE(load());
  EXPECT_EQ(shown(99), print(fresh_));
}

TEST_F(CanaryStore, IsNotBegunWhereTheOldOneIsAboutToExpire) {
  now_ = store_->listed(0).not_after() - std::chrono::seconds(30);
  ASSERT_TRUE(replace(issue({.until = std::chrono::seconds(200 * 86400)})));
  EXPECT_FALSE(store_->has_canaries());
}

TEST_F(CanaryStore, OfACertificateThatWentBackGoesOnWhenTheOldOneIsAboutToExpire) {
  ASSERT_TRUE(replace(fresh_));
  canary().decide(CanaryState::kWentBack);
  const TimePoint now = Clock::now();
  EXPECT_EQ(evaluate(canary(), now, now_).state, CanaryState::kWentBack);
  EXPECT_EQ(evaluate(canary(), now, canary().old()->not_after()).state, CanaryState::kWentOn);
}

TEST_F(CanaryStore, GivesANameThatOnlyOneOfBothHasToThatOne) {
  ASSERT_TRUE(replace(issue({.dns = {"www.example.com", "new.example.com"}})));
  EXPECT_TRUE(drawn(99, "new.example.com").certificate->holds_name("new.example.com"));
  EXPECT_EQ(drawn(99, "new.example.com").group, nullptr);
  canary().decide(CanaryState::kWentBack);
  EXPECT_FALSE(drawn(99, "new.example.com").certificate->holds_name("new.example.com"));
}

TEST_F(CanaryStore, RefusesACertificateThatIsOlderThanTheOneInUse) {
  const Issued older =
      issue({.from = std::chrono::seconds(-7200), .until = std::chrono::seconds(80 * 86400)});
  EXPECT_TRUE(replace(older));
  EXPECT_EQ(out_.front().severity, Severity::kKept);
  EXPECT_THAT(out_.front().what, testing::HasSubstr("older than the one in use"));
  EXPECT_EQ(out_.front().fault, FileFault::kOlder);
  EXPECT_EQ(shown(0), print(old_));
}

TEST_F(CanaryStore, TakesAnEarlierCertificateThatEndsLater) {
  EXPECT_TRUE(
      replace(issue({.from = std::chrono::seconds(-7200), .until = std::chrono::seconds(400 * 86400)})));
}

}  // namespace
}  // namespace headgate
