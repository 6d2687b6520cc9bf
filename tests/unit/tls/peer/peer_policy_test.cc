#include "tls/peer/peer_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/tls/test_pki.h"

namespace headgate {
namespace {

using test::issue;
using test::Issued;
using testing::ElementsAre;
using testing::HasSubstr;

const Issued& ca() {
  static const Issued made = issue({.common_name = "Clients CA", .ca = true});
  return made;
}
const WallTime kNow = std::chrono::system_clock::now();

TEST(Glob, StarNeverCrossesASlash) {
  EXPECT_TRUE(matches_uri("spiffe://prod/ns/*", "spiffe://prod/ns/web"));
  EXPECT_TRUE(matches_uri("spiffe://prod/ns/*", "spiffe://prod/ns/"));
  EXPECT_FALSE(matches_uri("spiffe://prod/ns/*", "spiffe://prod/ns/web/sa/x"));
  EXPECT_FALSE(matches_uri("spiffe://prod*", "spiffe://prod/ns/web"));
  EXPECT_FALSE(matches_uri("*", "spiffe://prod/ns/web"));
  EXPECT_TRUE(matches_uri("spiffe://*/web", "spiffe://prod/web"));
  EXPECT_FALSE(matches_uri("spiffe://*/web", "spiffe://evil/prod/web"));
  EXPECT_TRUE(matches_uri("spiffe://prod/*/sa/*-job", "spiffe://prod/ns/sa/a-job-b-job"));
  EXPECT_TRUE(matches_uri("a*b*c", "axbxbxc"));
  EXPECT_FALSE(matches_uri("a*b*c", "axbx/c"));
  EXPECT_FALSE(matches_uri("spiffe://prod", "spiffe://prod2"));
}

TEST(Glob, OfADnsNameIsOneLabel) {
  EXPECT_TRUE(matches_dns("*.example.com", "WWW.example.com"));
  EXPECT_FALSE(matches_dns("*.example.com", "a.b.example.com"));
  EXPECT_FALSE(matches_dns("*.example.com", ".example.com"));
  EXPECT_FALSE(matches_dns("*.example.com", "example.com"));
  EXPECT_TRUE(matches_dns("web-*.example.com", "web-1.example.com"));
}

TEST(PeerIdentity, HasWhatTheCertificateSays) {
  const Issued peer = issue({.common_name = "web",
                             .dns = {"Web.example.com"},
                             .uris = {"spiffe://prod/ns/web"},
                             .organizational_unit = "payments"},
                            &ca());
  const PeerIdentity identity = identity_of(peer.certificate.get());
  EXPECT_EQ(identity.spiffe_id, "spiffe://prod/ns/web");
  EXPECT_THAT(identity.uris, ElementsAre("spiffe://prod/ns/web"));
  EXPECT_THAT(identity.dns, ElementsAre("web.example.com"));
  EXPECT_EQ(identity.common_name, "web");
  EXPECT_THAT(identity.organizational_units, ElementsAre("payments"));
  EXPECT_EQ(identity.fingerprint.size(), 64U);
  EXPECT_EQ(identity.issuer, "CN=Clients CA");
  EXPECT_EQ(identity.short_name(), "spiffe://prod/ns/web");
}

TEST(PeerIdentity, HasNoSpiffeIdWhenThereAreTwoUrisOrItIsNotOne) {
  const auto spiffe_of = [](std::vector<std::string> uris) {
    return identity_of(issue({.uris = std::move(uris)}, &ca()).certificate.get()).spiffe_id;
  };
  EXPECT_EQ(spiffe_of({"spiffe://prod/a", "spiffe://prod/b"}), "");
  for (const char* bad :
       {"https://prod/a", "spiffe:///a", "spiffe://Prod/a", "spiffe://prod/../a", "spiffe://prod//a",
        "spiffe://prod/a/", "spiffe://prod/a?b", "spiffe://prod:1/a", "spiffe://prod/%61"}) {
    EXPECT_EQ(spiffe_of({bad}), "") << bad;
  }
}

class Policy : public testing::Test {
 protected:
  Policy() {
    settings_.mode = config::ClientAuthMode::kRequired;
    const Issued peer = issue({.common_name = "web",
                               .dns = {"web.example.com"},
                               .uris = {"spiffe://prod/ns/web"},
                               .organizational_unit = "payments"},
                              &ca());
    peer_ = identity_of(peer.certificate.get());
    const CertificatesPtr chain(sk_X509_new_null());
    sk_X509_push(chain.get(), share(peer.certificate.get()).release());
    sk_X509_push(chain.get(), share(ca().certificate.get()).release());
    add_chain(peer_, chain.get(), nullptr);
    trusted_ = {trust_key(ca().certificate.get())};
  }
  [[nodiscard]] Authorization ask(const PeerIdentity* peer, WallTime now = kNow) const {
    return PeerPolicy(settings_, trusted_, nullptr).authorize(peer, now);
  }
  config::ClientAuth settings_;
  std::vector<IssuedKey> trusted_;
  PeerIdentity peer_;
};

TEST_F(Policy, WithoutAnAllowListLetsEveryoneTheCaVouchesForPass) {
  EXPECT_TRUE(ask(&peer_).allowed);
}

TEST_F(Policy, LetsAPeerPassByAnyOneKindOfName) {
  const auto allows = [&](auto member, const std::string& pattern) {
    settings_.allow = {};
    settings_.allow.*member = {"nothing-else-matches", pattern};
    return ask(&peer_).allowed;
  };
  using Allow = config::ClientAllow;
  EXPECT_TRUE(allows(&Allow::spiffe, "spiffe://prod/ns/*"));
  EXPECT_TRUE(allows(&Allow::uri, "spiffe://*/ns/web"));
  EXPECT_TRUE(allows(&Allow::dns, "*.example.com"));
  EXPECT_TRUE(allows(&Allow::common_name, "web"));
  EXPECT_TRUE(allows(&Allow::organizational_unit, "payments"));
  EXPECT_TRUE(allows(&Allow::fingerprint, peer_.fingerprint));
  EXPECT_FALSE(allows(&Allow::common_name, "w*"));
  EXPECT_FALSE(allows(&Allow::dns, "web"));
}

TEST_F(Policy, NamesEachReasonToRefuse) {
  EXPECT_EQ(ask(nullptr).why, HandshakeFailure::kClientCertificateMissing);
  EXPECT_EQ(ask(&peer_, kNow + std::chrono::hours(24 * 365)).why,
            HandshakeFailure::kClientCertificateExpired);
  settings_.allow.common_name = {"other"};
  const Authorization refused = ask(&peer_);
  EXPECT_EQ(refused.why, HandshakeFailure::kClientCertificateNotAllowed);
  EXPECT_THAT(refused.detail, HasSubstr("spiffe://prod/ns/web"));
  settings_.allow = {};
  trusted_.clear();
  EXPECT_EQ(ask(&peer_).why, HandshakeFailure::kClientCertificateUntrusted);
}

class Revocation : public testing::Test {
 protected:
  std::shared_ptr<const RevocationList> parse(const std::string& bytes) {
    out_.clear();
    return RevocationList::parse(bytes, "ca.crl", {ca().certificate.get(), other_ca_.certificate.get()}, kNow,
                                 out_);
  }
  [[nodiscard]] std::string complaint() const { return out_.empty() ? "" : out_.front().what; }
  Issued other_ca_ = issue({.common_name = "Other CA", .ca = true});
  Issued revoked_ = issue({.common_name = "revoked"}, &ca());
  Issued good_ = issue({.common_name = "good"}, &ca());
  Diagnostics out_;
};

TEST_F(Revocation, KnowsTheRevokedOfSeveralIssuersInPem) {
  const Issued also = issue({.common_name = "also"}, &other_ca_);
  const auto list = parse(test::revocation_list(ca(), {.revoked = {&revoked_}}) +
                          test::revocation_list(other_ca_, {.revoked = {&also}}));
  ASSERT_NE(list, nullptr) << complaint();
  EXPECT_TRUE(list->revokes(issued_key(revoked_.certificate.get())));
  EXPECT_TRUE(list->revokes(issued_key(also.certificate.get())));
  EXPECT_FALSE(list->revokes(issued_key(good_.certificate.get())));
  EXPECT_TRUE(list->covers(issuer_key(X509_get_issuer_name(good_.certificate.get()))));
  EXPECT_FALSE(
      list->covers(issuer_key(X509_get_issuer_name(issue({.common_name = "self"}).certificate.get()))));
}

TEST_F(Revocation, ReadsDer) {
  const auto list = parse(test::revocation_list(ca(), {.revoked = {&revoked_}, .der = true}));
  ASSERT_NE(list, nullptr) << complaint();
  EXPECT_TRUE(list->revokes(issued_key(revoked_.certificate.get())));
}

TEST_F(Revocation, RefusesAListThatIsStaleEarlyForeignPartialOrNone) {
  EXPECT_EQ(parse(test::revocation_list(ca(), {.until = std::chrono::minutes(-30)})), nullptr);
  EXPECT_THAT(complaint(), HasSubstr("out of date"));
  EXPECT_EQ(parse(test::revocation_list(ca(), {.from = std::chrono::hours(1)})), nullptr);
  EXPECT_THAT(complaint(), HasSubstr("from the future"));
  EXPECT_EQ(parse(test::revocation_list(issue({.common_name = "Stranger", .ca = true}), {})), nullptr);
  EXPECT_THAT(complaint(), HasSubstr("not signed by a certificate in the `ca` file"));
  EXPECT_EQ(parse(test::revocation_list(ca(), {.delta = true})), nullptr);
  EXPECT_THAT(complaint(), HasSubstr("delta or partial"));
  EXPECT_EQ(parse("nothing"), nullptr);
  EXPECT_THAT(complaint(), HasSubstr("no revocation list"));
  EXPECT_EQ(parse(test::revocation_list(ca(), {}).substr(0, 100)), nullptr);
  EXPECT_THAT(complaint(), HasSubstr("truncated"));
}

TEST_F(Revocation, TellsWhoWasRevokedSinceTheListBefore) {
  const auto before = parse(test::revocation_list(ca(), {.revoked = {&revoked_}}));
  const auto after = parse(test::revocation_list(ca(), {.revoked = {&revoked_, &good_}}));
  EXPECT_THAT(after->revoked_since(before.get()), ElementsAre(issued_key(good_.certificate.get())));
  EXPECT_EQ(after->revoked_since(nullptr).size(), 2U);
}

TEST_F(Policy, APeerPassesByAnyTrustedCertificateThatItsChainReaches) {
  const Issued middle = issue({.common_name = "Middle", .ca = true}, &ca());
  const Issued leaf = issue({.common_name = "leaf"}, &middle);
  const auto stack = [](std::initializer_list<const Issued*> all) {
    CertificatesPtr chain(sk_X509_new_null());
    for (const Issued* one : all) sk_X509_push(chain.get(), share(one->certificate.get()).release());
    return chain;
  };
  const auto passes = [&](const CertificatesPtr& sent, const Issued& trusted) {
    PeerIdentity peer = identity_of(leaf.certificate.get());
    add_chain(peer, stack({&leaf, &middle, &ca()}).get(), sent.get());
    return PeerPolicy(settings_, {trust_key(trusted.certificate.get())}, nullptr)
        .authorize(&peer, kNow)
        .allowed;
  };
  const CertificatesPtr sends_middle = stack({&leaf, &middle}), sends_itself = stack({&leaf});
  EXPECT_TRUE(passes(sends_middle, ca()));
  EXPECT_TRUE(passes(sends_middle, middle));
  EXPECT_TRUE(passes(sends_itself, middle));
  EXPECT_FALSE(passes(sends_itself, ca())) << "the way to it went by a certificate of the `ca` file";
}

TEST_F(Policy, AnExpiredCertificateAboveThePeerExpiresIt) {
  const auto now = std::chrono::system_clock::now();
  const Issued middle = issue({.common_name = "Middle", .until = std::chrono::hours(1), .ca = true}, &ca());
  const Issued leaf = issue({.common_name = "leaf", .until = std::chrono::hours(100)}, &middle);
  PeerIdentity peer = identity_of(leaf.certificate.get());
  const CertificatesPtr chain(sk_X509_new_null());
  for (const Issued* one : {&leaf, &middle, &ca()})
    sk_X509_push(chain.get(), share(one->certificate.get()).release());
  add_chain(peer, chain.get(), chain.get());
  EXPECT_TRUE(ask(&peer, now + std::chrono::minutes(59)).allowed);
  EXPECT_EQ(ask(&peer, now + std::chrono::minutes(61)).why, HandshakeFailure::kClientCertificateExpired);
}

TEST_F(Policy, AChangeConcernsThoseWhoseEntryOrCaIsGone) {
  const auto policy = [&](std::vector<std::string> dns) {
    settings_.allow.dns = std::move(dns);
    return PeerPolicy(settings_, trusted_, nullptr);
  };
  const PeerPolicy open = policy({}), one = policy({"a.test"}), two = policy({"a.test", "*.example.com"});
  EXPECT_TRUE(one.stricter_since(one).empty());
  EXPECT_TRUE(two.stricter_since(one).empty());
  EXPECT_TRUE(open.stricter_since(one).empty());
  EXPECT_EQ(one.stricter_since(two), std::vector<IssuedKey>{*two.admission_of(peer_)});
  EXPECT_EQ(one.stricter_since(open), std::vector<IssuedKey>{*open.admission_of(peer_)});
  EXPECT_EQ(PeerPolicy(settings_, {}, nullptr).stricter_since(two), trusted_);
}

}  // namespace
}  // namespace headgate
