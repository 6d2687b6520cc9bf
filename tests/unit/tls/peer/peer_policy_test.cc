#include "tls/peer/peer_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/hex.h"
#include "unit/tls/test_pki.h"

namespace headgate {
namespace {

using test::issue;
using test::Issued;
using test::Wanted;
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
  EXPECT_NE(identity.public_key, PeerIdentity().public_key);
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
        "spiffe://prod/a/", "spiffe://prod/a?b", "spiffe://prod:1/a", "spiffe://prod/%61", "spiffe://prod",
        "spiffe://prod/", "spiffe://../a", "SPIFFE://prod/a", "spiffe://prod/a\n"}) {
    EXPECT_EQ(spiffe_of({bad}), "") << bad;
  }
  EXPECT_EQ(spiffe_of({"spiffe://" + std::string(255, 'a') + "/b"}).size(), 266U);
  EXPECT_EQ(spiffe_of({"spiffe://" + std::string(256, 'a') + "/b"}), "");
  EXPECT_EQ(spiffe_of({"spiffe://prod/" + std::string(2048, 'a')}), "");
}

TEST(PeerIdentity, HasNoSpiffeIdBesideAnUriThatCouldMislead) {
  for (const std::string& other :
       {std::string(), std::string("\x01"), std::string(1, '\0'), std::string("spiffe://prod/a\0b", 17)}) {
    const Issued peer = issue({.uris = {"spiffe://prod/a", other}}, &ca());
    EXPECT_EQ(identity_of(peer.certificate.get()).spiffe_id, "");
    EXPECT_THAT(identity_of(peer.certificate.get()).uris, ElementsAre("spiffe://prod/a"));
  }
}

TEST(PeerIdentity, HasASpiffeIdOnlyWhereTheCertificateIsThatOfAWorkload) {
  const auto spiffe_of = [](Wanted wanted) {
    wanted.uris = {"spiffe://prod/a"};
    return identity_of(issue(wanted, &ca()).certificate.get()).spiffe_id;
  };
  EXPECT_EQ(spiffe_of({.key_usage = "digitalSignature,keyAgreement"}), "spiffe://prod/a");
  EXPECT_EQ(spiffe_of({}), "spiffe://prod/a");
  EXPECT_EQ(spiffe_of({.ca = true}), "");
  EXPECT_EQ(spiffe_of({.key_usage = "digitalSignature,keyCertSign", .ca = true}), "");
  EXPECT_EQ(spiffe_of({.key_usage = "digitalSignature,keyCertSign"}), "");
  EXPECT_EQ(spiffe_of({.key_usage = "digitalSignature,cRLSign"}), "");
  EXPECT_EQ(spiffe_of({.key_usage = "keyAgreement"}), "");
}

TEST(PeerIdentity, HasNoCommonNameWhereTheMostSpecificOneCouldMislead) {
  const Issued peer = issue({.common_name = "alice", .second_common_name = "bob\x01"}, &ca());
  EXPECT_EQ(identity_of(peer.certificate.get()).common_name, "");
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
    trusted_ = {{"", {trust_key(ca().certificate.get())}}};
  }
  [[nodiscard]] Authorization ask(const PeerIdentity* peer, WallTime now = kNow) const {
    return PeerPolicy(settings_, trusted_, nullptr).authorize(peer, now);
  }
  config::ClientAuth settings_;
  TrustedKeys trusted_;
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
  EXPECT_TRUE(allows(&Allow::public_key, hex_of(peer_.public_key)));
  EXPECT_FALSE(allows(&Allow::public_key, peer_.fingerprint));
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

IssuedKey key_of(const Issued& issued, const Issued& issuer) {
  return issued_key(trust_key(issuer.certificate.get()), X509_get0_serialNumber(issued.certificate.get()));
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
  EXPECT_TRUE(list->revokes(key_of(revoked_, ca())));
  EXPECT_TRUE(list->revokes(key_of(also, other_ca_)));
  EXPECT_FALSE(list->revokes(key_of(good_, ca())));
  EXPECT_TRUE(list->covers(trust_key(ca().certificate.get())));
  EXPECT_FALSE(list->covers(trust_key(issue({.common_name = "self"}).certificate.get())));
}

TEST_F(Revocation, ReadsDer) {
  const auto list = parse(test::revocation_list(ca(), {.revoked = {&revoked_}, .der = true}));
  ASSERT_NE(list, nullptr) << complaint();
  EXPECT_TRUE(list->revokes(key_of(revoked_, ca())));
}

TEST_F(Revocation, RefusesAListThatIsStaleEarlyForeignPartialOrNone) {
  EXPECT_EQ(parse(test::revocation_list(ca(), {.until = std::chrono::minutes(-30)})), nullptr);
  EXPECT_THAT(complaint(), HasSubstr("out of date"));
  EXPECT_EQ(parse(test::revocation_list(ca(), {.from = std::chrono::hours(1)})), nullptr);
  EXPECT_THAT(complaint(), HasSubstr("from the future"));
  EXPECT_EQ(parse(test::revocation_list(issue({.common_name = "Stranger", .ca = true}), {})), nullptr);
  EXPECT_THAT(complaint(), HasSubstr("not signed by a certificate in the `ca` file"));
  EXPECT_EQ(parse(test::revocation_list(ca(), {.delta = true})), nullptr);
  EXPECT_THAT(complaint(), HasSubstr("delta list"));
  EXPECT_EQ(parse("nothing"), nullptr);
  EXPECT_THAT(complaint(), HasSubstr("no revocation list"));
  EXPECT_EQ(parse(test::revocation_list(ca(), {}).substr(0, 100)), nullptr);
  EXPECT_THAT(complaint(), HasSubstr("truncated"));
}

TEST_F(Revocation, RefusesAListThatIsNotAboutAllCertificatesOfItsIssuer) {
  const std::pair<const char*, const char*> scopes[] = {
      {"onlyCA:TRUE", "onlyContainsCACerts"},
      {"onlyuser:TRUE", "onlyContainsUserCerts"},
      {"onlyAA:TRUE", "onlyContainsAttributeCerts"},
      {"onlysomereasons:keyCompromise", "onlySomeReasons"},
      {"indirectCRL:TRUE", "indirectCRL"},
      {"fullname:URI:http://ca.test/7.crl", "one distribution point"},
  };
  for (const auto& [scope, word] : scopes) {
    EXPECT_EQ(parse(test::revocation_list(ca(), {.distribution_point = scope})), nullptr) << scope;
    EXPECT_THAT(complaint(), HasSubstr(word));
    EXPECT_THAT(complaint(), HasSubstr("A complete list is needed"));
  }
  EXPECT_EQ(parse(test::revocation_list(ca(), {.critical = "2.5.29.28"})), nullptr);
  EXPECT_THAT(complaint(), testing::AnyOf(HasSubstr("issuingDistributionPoint that cannot be read"),
                                          HasSubstr("a revocation list cannot be read")));
}

TEST_F(Revocation, RefusesAListWithACriticalExtensionThatItDoesNotKnow) {
  EXPECT_EQ(parse(test::revocation_list(ca(), {.critical = "1.2.3.4"})), nullptr);
  EXPECT_THAT(complaint(), HasSubstr("critical extension 1.2.3.4"));
  EXPECT_EQ(parse(test::revocation_list(ca(), {.revoked = {&revoked_}, .critical_in_entry = "1.2.3.4"})),
            nullptr);
  EXPECT_THAT(complaint(), HasSubstr("an entry that has the critical extension 1.2.3.4"));
}

TEST_F(Revocation, RefusesAListThatSomeoneSignedWhoMaySignNone) {
  const auto complaint_about = [this](const Wanted& wanted) {
    const Issued signer = issue(wanted);
    out_.clear();
    EXPECT_EQ(RevocationList::parse(test::revocation_list(signer, {}), "ca.crl", {signer.certificate.get()},
                                    kNow, out_),
              nullptr);
    return complaint();
  };
  EXPECT_THAT(complaint_about({.key_usage = "keyCertSign", .ca = true}), HasSubstr("may not sign lists"));
  EXPECT_THAT(complaint_about({.key_usage = "digitalSignature"}), HasSubstr("may not sign lists"));
  EXPECT_THAT(complaint_about({.dns = {"leaf.test"}}), HasSubstr("may not sign lists"));
}

TEST_F(Revocation, KnowsTheListOfOneAuthorityFromThatOfAnotherOfItsName) {
  const Issued namesake = issue({.common_name = "Clients CA", .ca = true});
  const std::vector<X509*> both{namesake.certificate.get(), ca().certificate.get()};
  const auto list = RevocationList::parse(test::revocation_list(ca(), {.revoked = {&revoked_}}), "ca.crl",
                                          both, kNow, out_);
  ASSERT_NE(list, nullptr) << complaint();
  EXPECT_TRUE(list->covers(trust_key(ca().certificate.get())));
  EXPECT_FALSE(list->covers(trust_key(namesake.certificate.get())));
  EXPECT_TRUE(list->revokes(key_of(revoked_, ca())));
  EXPECT_FALSE(list->revokes(key_of(revoked_, namesake)));
}

TEST_F(Revocation, TellsWhoWasRevokedSinceTheListBefore) {
  const auto before = parse(test::revocation_list(ca(), {.revoked = {&revoked_}}));
  const auto after = parse(test::revocation_list(ca(), {.revoked = {&revoked_, &good_}}));
  EXPECT_THAT(after->revoked_since(before.get()), ElementsAre(key_of(good_, ca())));
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
    return PeerPolicy(settings_, {{"", {trust_key(trusted.certificate.get())}}}, nullptr)
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

TEST_F(Policy, AnAuthorityOfOneTrustDomainVouchesForNoOtherName) {
  const IssuedKey key = trust_key(ca().certificate.get());
  const auto why = [&](TrustedKeys trusted, PeerIdentity peer) {
    return PeerPolicy(settings_, std::move(trusted), nullptr).authorize(&peer, kNow).why;
  };
  PeerIdentity elsewhere = peer_, nobody = peer_;
  elsewhere.spiffe_id = "spiffe://staging/ns/web";
  nobody.spiffe_id.clear();
  const TrustedKeys bound{{"prod", {key}}, {"staging", {}}};
  EXPECT_EQ(why(bound, peer_), HandshakeFailure::kNone);
  EXPECT_EQ(why(bound, elsewhere), HandshakeFailure::kClientCertificateUntrusted);
  EXPECT_EQ(why(bound, nobody), HandshakeFailure::kClientCertificateUntrusted);
  EXPECT_EQ(why({{"", {key}}}, elsewhere), HandshakeFailure::kNone);
}

TEST_F(Policy, AChangeConcernsThoseWhoseAuthorityIsBoundToAnotherTrustDomain) {
  const std::vector<IssuedKey> key{trust_key(ca().certificate.get())};
  const PeerPolicy unbound(settings_, {{"", key}}, nullptr), prod(settings_, {{"prod", key}}, nullptr),
      staging(settings_, {{"staging", key}}, nullptr);
  EXPECT_EQ(prod.stricter_since(unbound), key);
  EXPECT_EQ(staging.stricter_since(prod), key);
  EXPECT_TRUE(prod.stricter_since(prod).empty());
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
  EXPECT_EQ(PeerPolicy(settings_, {}, nullptr).stricter_since(two), trusted_.at(""));
}

}  // namespace
}  // namespace headgate
