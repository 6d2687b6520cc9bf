#include "tls/handshake/server_context.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tls/library/certificate_compression.h"
#include "unit/tls/tls_pair.h"
#include "unit/tls/which_library.h"

namespace headgate {
namespace {

constexpr std::array<std::uint16_t, 2> kBothVersions{TLS1_2_VERSION, TLS1_3_VERSION};

using test::ClientOptions;
using test::connect;
using test::issue;
using test::Issued;
using test::ListenerFixture;
using test::Outcome;
using test::serve;
using test::Server;
using test::stored;
using test::Wanted;

const Issued& site() {
  static const Issued made = issue({});
  return made;
}

const Issued& client_ca() {
  static const Issued made = issue({.common_name = "Clients CA", .ca = true});
  return made;
}

Issued client(Wanted wanted) {
  wanted.extended_key_usage = "clientAuth";
  return issue(wanted, &client_ca());
}

ListenerFixture plain_listener() {
  ListenerFixture fixture;
  fixture.certificates = {stored(site())};
  return fixture;
}

ListenerFixture mutual_listener() {
  ListenerFixture fixture = plain_listener();
  fixture.client_ca = &client_ca();
  fixture.tls().client_auth.mode = config::ClientAuthMode::kRequired;
  return fixture;
}

TEST(ServerContext, ServesTls13) {
  Server server = serve(plain_listener().build());
  const Outcome outcome = connect(*server.context, {});
  EXPECT_TRUE(outcome.ok);
  EXPECT_EQ(outcome.version, TLS1_3_VERSION);
  EXPECT_EQ(outcome.served_fingerprint, identity_of(site().certificate.get()).fingerprint);
}

TEST(ServerContext, ServesTls12) {
  Server server = serve(plain_listener().build());
  const Outcome outcome = connect(*server.context, {.max_version = TLS1_2_VERSION});
  EXPECT_TRUE(outcome.ok);
  EXPECT_EQ(outcome.version, TLS1_2_VERSION);
}

TEST(ServerContext, RefusesTls12WhereTls13IsTheLeast) {
  ListenerFixture fixture = plain_listener();
  fixture.tls().min_version = config::TlsVersion::kTls13;
  Server server = serve(fixture.build());
  const Outcome outcome = connect(*server.context, {.max_version = TLS1_2_VERSION});
  EXPECT_FALSE(outcome.ok);
  EXPECT_EQ(outcome.failure, HandshakeFailure::kUnsupportedVersion);
  EXPECT_EQ(outcome.alert_at_client, SSL_AD_PROTOCOL_VERSION);
}

TEST(ServerContext, LeavesOutGroupsThatThisOpensslLacks) {
  ListenerFixture fixture = plain_listener();
  fixture.tls().groups = {"X25519", "no-such-group"};
  Server server = serve(fixture.build());
  EXPECT_TRUE(connect(*server.context, {}).ok);
}

TEST(ServerContext, NamesAGroupListOfWhichNothingIsKnown) {
  const auto shared = std::make_shared<ListenerTls>(*plain_listener().build());
  shared->settings.groups = {"no-such-group"};
  const auto library = LibraryContext::make();
  ASSERT_TRUE(library);
  ListenerMetrics metrics;
  const auto context = ServerContext::make(**library, nullptr, shared, metrics);
  ASSERT_FALSE(context);
  EXPECT_THAT(context.error().what, testing::HasSubstr("no-such-group"));
}

TEST(ServerContext, RefusesAClientWithoutASharedGroupByName) {
  ListenerFixture fixture = plain_listener();
  fixture.tls().groups = {"X25519"};
  Server server = serve(fixture.build());
  const Outcome outcome = connect(*server.context, {.groups = "P-384"});
  EXPECT_EQ(outcome.failure, HandshakeFailure::kNoSharedGroup);
  EXPECT_EQ(outcome.alert_at_client, SSL_AD_HANDSHAKE_FAILURE);
}

TEST(ServerContext, RefusesATls12ClientWithoutASharedGroupByName) {
  ListenerFixture fixture = plain_listener();
  fixture.tls().groups = {"X25519"};
  Server server = serve(fixture.build());
  const Outcome outcome = connect(*server.context, {.groups = "P-256:P-384", .max_version = TLS1_2_VERSION});
  EXPECT_EQ(outcome.failure,
            test::is_on_awslc() ? HandshakeFailure::kNoSharedCipher : HandshakeFailure::kNoSharedGroup);
  EXPECT_EQ(outcome.alert_at_client, SSL_AD_HANDSHAKE_FAILURE);
}

TEST(ServerContext, RefusesATls12ClientWithoutASharedCipherByName) {
  const auto shared = std::make_shared<ListenerTls>(*plain_listener().build());
  shared->settings.ciphers = "ECDHE-RSA-AES128-GCM-SHA256";  // the certificate's key is not RSA
  Server server = serve(shared);
  EXPECT_EQ(connect(*server.context, {.max_version = TLS1_2_VERSION}).failure,
            HandshakeFailure::kNoSharedCipher);
}

// A list, the client's list, and the cipher that both sides have to take.
struct CipherOrder {
  std::vector<std::string> listed;  // by the server
  const char* offered;
  const char* taken;
};

TEST(ServerContext, TakesTheSuiteThatItListsFirst) {
  const CipherOrder orders[] = {
      {{}, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384"},
      {{}, "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256", "TLS_CHACHA20_POLY1305_SHA256"},
      {{"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"},
       "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256",
       "TLS_AES_128_GCM_SHA256"},
      {{"TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256"},
       "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256",
       "TLS_CHACHA20_POLY1305_SHA256"},
      // A client without AES in its processor lists ChaCha20 first.
      {{"TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"},
       "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256",
       "TLS_CHACHA20_POLY1305_SHA256"},
      {{"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"},
       "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256",
       "TLS_AES_128_GCM_SHA256"},
  };
  for (const CipherOrder& order : orders) {
    ListenerFixture fixture = plain_listener();
    fixture.tls().cipher_suites = order.listed;
    Server server = serve(fixture.build());
    const Outcome outcome = connect(*server.context, {.cipher_suites = order.offered});
    EXPECT_TRUE(outcome.ok) << order.offered;
    EXPECT_EQ(outcome.cipher, order.taken) << order.offered;
    // A session is resumed with the cipher that it had.
    const Outcome again =
        connect(*server.context, {.cipher_suites = order.offered, .session = outcome.session.get()});
    EXPECT_TRUE(again.resumed) << order.offered;
    EXPECT_EQ(again.cipher, order.taken) << order.offered;
  }
}

TEST(ServerContext, TakesTheTls12CipherThatItListsFirst) {
  const CipherOrder orders[] = {
      {{},
       "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256",
       "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"},
      {{"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256"},
       "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305",
       "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"},
      {{},
       "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256",
       "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"},
      {{"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256"},
       "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384",
       "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"},
  };
  for (const CipherOrder& order : orders) {
    ListenerFixture fixture = plain_listener();
    if (!order.listed.empty()) fixture.tls().ciphers = order.listed.front();
    Server server = serve(fixture.build());
    const Outcome outcome =
        connect(*server.context, {.ciphers = order.offered, .max_version = TLS1_2_VERSION});
    EXPECT_TRUE(outcome.ok) << order.offered;
    EXPECT_EQ(outcome.cipher, order.taken) << order.offered;
  }
}

TEST(ServerContext, NotesAHelloRetryRequest) {
  ListenerFixture fixture = plain_listener();
  fixture.tls().groups = {"P-256"};
  Server server = serve(fixture.build());
  const Outcome outcome = connect(*server.context, {.groups = "X25519:P-256"});
  EXPECT_TRUE(outcome.ok);
  EXPECT_EQ(outcome.server_hellos, 2);
  EXPECT_EQ(connect(*server.context, {.groups = "P-256"}).server_hellos, 1);
}

TEST(ServerContext, ChoosesAlpnInTheListenersOrder) {
  ListenerFixture fixture = plain_listener();
  fixture.tls().alpn = {"h2", "http/1.1"};
  Server server = serve(fixture.build());
  EXPECT_EQ(connect(*server.context, {.alpn = "http/1.1"}).alpn, "http/1.1");
  EXPECT_TRUE(connect(*server.context, {}).ok);
}

TEST(ServerContext, RefusesAClientWithoutSharedAlpn) {
  ListenerFixture fixture = plain_listener();
  fixture.tls().alpn = {"h2"};
  Server server = serve(fixture.build());
  const Outcome outcome = connect(*server.context, {.alpn = "imap"});
  EXPECT_EQ(outcome.failure, HandshakeFailure::kNoSharedAlpn);
  EXPECT_EQ(outcome.alert_at_client, SSL_AD_NO_APPLICATION_PROTOCOL);
}

TEST(ServerContext, PresentsAnotherCertificateThanTheDefaultByName) {
  const Issued other = issue({.common_name = "other.example.net", .key = "RSA-2048"});
  ListenerFixture fixture = plain_listener();
  fixture.certificates.push_back(stored(other, "other.pem"));
  Server server = serve(fixture.build());
  const Outcome outcome = connect(*server.context, {.server_name = "other.example.net"});
  EXPECT_TRUE(outcome.ok);
  EXPECT_EQ(outcome.served_fingerprint, identity_of(other.certificate.get()).fingerprint);
}

TEST(ServerContext, StaplesAnOcspResponseUntilItExpires) {
  const Issued leaf = issue({}, &client_ca());
  const std::string response =
      test::ocsp_response(client_ca(), leaf, V_OCSP_CERTSTATUS_GOOD, std::chrono::hours(1));
  const auto* bytes = reinterpret_cast<const std::byte*>(response.data());
  const auto now = std::chrono::system_clock::now();
  const auto with_expiry = [&](WallTime until) {
    return std::make_shared<OcspStaple>(OcspStaple{{bytes, bytes + response.size()}, until});
  };
  ListenerFixture fixture;
  fixture.certificates = {with_staple(*stored(leaf), with_expiry(now + std::chrono::hours(1)))};
  Server server = serve(fixture.build());
  EXPECT_EQ(connect(*server.context, {.staple = true}).staple, response);
  EXPECT_EQ(connect(*server.context, {.staple = false}).staple, "");
  EXPECT_EQ(server.metrics->certificates_compressed.value(),
            0U);  // a compressed one would leave the staple out

  fixture.certificates = {with_staple(*stored(leaf), with_expiry(now - std::chrono::hours(1)))};
  Server late = serve(fixture.build());
  EXPECT_EQ(connect(*late.context, {.staple = true}).staple, "");
  EXPECT_EQ(late.metrics->ocsp_staples_expired.value(), 1U);
}

// The certificate is not the default one. The second handshake with it makes the compressed form.
TEST(ServerContext, CompressesCertificatesInTls13WhereOpensslCan) {
  const Issued other = issue({.common_name = "other.example.net"});
  ListenerFixture fixture = plain_listener();
  fixture.certificates.push_back(stored(other, "other.pem"));
  Server server = serve(fixture.build());
  if (compress_certificate(SslPtr(SSL_new(server.context->get())).get()).empty())
    GTEST_SKIP() << "this OpenSSL compresses no certificates";
  const auto compressed_after = [&](const ClientOptions& options) {
    EXPECT_TRUE(connect(*server.context, options).ok);
    return server.metrics->certificates_compressed.value();
  };
  EXPECT_EQ(compressed_after({}), 1U);
  EXPECT_EQ(compressed_after({.max_version = TLS1_2_VERSION}), 1U);
  EXPECT_EQ(compressed_after({.server_name = "other.example.net"}), 1U);
  EXPECT_EQ(compressed_after({.server_name = "other.example.net"}), 2U);
  EXPECT_EQ(compressed_after({.server_name = "other.example.net"}), 3U);
}

// --- client certificates
// ----------------------------------------------------------------------------------------

TEST(ClientCertificates, LetAVouchedForPeerPassAndSayWhoItIs) {
  const Issued peer = client({.common_name = "web", .uris = {"spiffe://prod/ns/web"}});
  for (const std::uint16_t version : kBothVersions) {
    Server server = serve(mutual_listener().build());
    const Outcome outcome = connect(*server.context, {.max_version = version, .certificate = &peer});
    EXPECT_TRUE(outcome.ok);
    ASSERT_NE(outcome.peer, nullptr);
    EXPECT_EQ(outcome.peer->spiffe_id, "spiffe://prod/ns/web");
    EXPECT_EQ(outcome.peer->chain.size(), 1U);
  }
}

TEST(ClientCertificates, AreMissedWhereTheyAreRequired) {
  Server server = serve(mutual_listener().build());
  const Outcome outcome = connect(*server.context, {});
  EXPECT_FALSE(outcome.ok);
  EXPECT_EQ(outcome.failure, HandshakeFailure::kClientCertificateMissing);
  EXPECT_EQ(outcome.alert_at_client, SSL_AD_CERTIFICATE_REQUIRED);
}

TEST(ClientCertificates, MayBeMissingWhereTheyAreOptional) {
  ListenerFixture fixture = mutual_listener();
  fixture.tls().client_auth.mode = config::ClientAuthMode::kOptional;
  Server server = serve(fixture.build());
  const Outcome outcome = connect(*server.context, {});
  EXPECT_TRUE(outcome.ok);
  EXPECT_EQ(outcome.peer, nullptr);
}

TEST(ClientCertificates, OfAnUnknownCaAreRefusedEvenWhereTheyAreOptional) {
  const Issued stranger = issue({.common_name = "stranger"});
  ListenerFixture fixture = mutual_listener();
  fixture.tls().client_auth.mode = config::ClientAuthMode::kOptional;
  Server server = serve(fixture.build());
  const Outcome outcome = connect(*server.context, {.certificate = &stranger});
  EXPECT_EQ(outcome.failure, HandshakeFailure::kClientCertificateUntrusted);
  EXPECT_FALSE(outcome.ok);
}

TEST(ClientCertificates, ThatExpiredAreRefused) {
  const Issued peer =
      client({.common_name = "web", .from = std::chrono::hours(-2), .until = std::chrono::hours(-1)});
  Server server = serve(mutual_listener().build());
  const Outcome outcome = connect(*server.context, {.certificate = &peer});
  EXPECT_EQ(outcome.failure, HandshakeFailure::kClientCertificateExpired);
  EXPECT_EQ(outcome.alert_at_client, SSL_AD_CERTIFICATE_EXPIRED);
}

TEST(ClientCertificates, OfAServerAreRefused) {
  const Issued peer = issue({.common_name = "web", .extended_key_usage = "serverAuth"}, &client_ca());
  Server server = serve(mutual_listener().build());
  EXPECT_EQ(connect(*server.context, {.certificate = &peer}).failure,
            HandshakeFailure::kClientCertificateUntrusted);
}

TEST(ClientCertificates, ThatMatchNothingInTheAllowListHearATlsAlertAndNothingElse) {
  const Issued peer = client({.common_name = "web", .uris = {"spiffe://prod/ns/web"}});
  ListenerFixture fixture = mutual_listener();
  fixture.tls().client_auth.allow.spiffe = {"spiffe://prod/ns/api"};
  Server server = serve(fixture.build());
  const Outcome outcome = connect(*server.context, {.certificate = &peer});
  EXPECT_EQ(outcome.failure, HandshakeFailure::kClientCertificateNotAllowed);
  EXPECT_EQ(outcome.alert_at_client, SSL_AD_BAD_CERTIFICATE);
  EXPECT_THAT(outcome.refusal_detail, testing::HasSubstr("spiffe://prod/ns/web"));
}

// A handshake must never succeed when revocation refuses the certificate: the class of nginx's
// CVE-2026-28755.
TEST(ClientCertificates, ThatAreRevokedAreRefusedInEveryVersionAndMode) {
  const Issued revoked = client({.common_name = "revoked"});
  const Issued good = client({.common_name = "good"});
  for (const auto mode : {config::ClientAuthMode::kOptional, config::ClientAuthMode::kRequired}) {
    for (const std::uint16_t version : kBothVersions) {
      ListenerFixture fixture = mutual_listener();
      fixture.tls().client_auth.mode = mode;
      fixture.crl_pem = test::revocation_list(client_ca(), {.revoked = {&revoked}});
      Server server = serve(fixture.build());
      const Outcome outcome = connect(*server.context, {.max_version = version, .certificate = &revoked});
      EXPECT_FALSE(outcome.ok);
      EXPECT_EQ(outcome.failure, HandshakeFailure::kClientCertificateRevoked);
      EXPECT_EQ(outcome.alert_at_client, SSL_AD_CERTIFICATE_REVOKED);
      EXPECT_TRUE(connect(*server.context, {.max_version = version, .certificate = &good}).ok);
    }
  }
}

TEST(ClientCertificates, BelowARevokedIntermediateAreRefused) {
  const Issued intermediate = issue({.common_name = "Clients intermediate", .ca = true}, &client_ca());
  const Issued peer = issue({.common_name = "web", .extended_key_usage = "clientAuth"}, &intermediate);
  PeerIdentity identity = identity_of(peer.certificate.get());
  const CertificatesPtr chain(sk_X509_new_null());
  for (const Issued* one : {&peer, &intermediate, &client_ca()})
    sk_X509_push(chain.get(), share(one->certificate.get()).release());
  add_chain(identity, chain.get(), nullptr);
  Diagnostics out;
  const auto now = std::chrono::system_clock::now();
  const std::string crl = test::revocation_list(client_ca(), {.revoked = {&intermediate}});
  const auto list = RevocationList::parse(crl, "crl", {client_ca().certificate.get()}, now, out);
  ASSERT_NE(list, nullptr);
  config::ClientAuth auth;
  auth.mode = config::ClientAuthMode::kRequired;
  const PeerPolicy policy(auth, {{"", {trust_key(client_ca().certificate.get())}}}, list);
  EXPECT_EQ(policy.authorize(&identity, now).why, HandshakeFailure::kClientCertificateRevoked);
}

TEST(ClientCertificates, ThatAReloadMayConcernAreThoseThatItRevokes) {
  const Issued revoked_before = client({.common_name = "before"}),
               revoked_now = client({.common_name = "now"});
  ListenerFixture fixture = mutual_listener();
  fixture.crl_pem = test::revocation_list(client_ca(), {.revoked = {&revoked_before}});
  const auto before = fixture.build();
  EXPECT_TRUE(before->rules.front().changes.anyone);
  fixture.crl_pem = test::revocation_list(client_ca(), {.revoked = {&revoked_before, &revoked_now}});
  const auto now = fixture.build(before.get());
  EXPECT_FALSE(now->rules.front().changes.anyone);
  EXPECT_THAT(now->rules.front().changes.concerned,
              testing::ElementsAre(issued_key(trust_key(client_ca().certificate.get()),
                                              X509_get0_serialNumber(revoked_now.certificate.get()))));
}

TEST(ClientCertificates, ThatAReloadMayConcernAreAllWhenTheRulesAreOthers) {
  ListenerFixture fixture = mutual_listener();
  const auto before = fixture.build();
  EXPECT_FALSE(fixture.build(before.get())->rules.front().changes.anyone);
  fixture.tls().client_auth.allow.dns = {"alice.test"};
  const auto narrower = fixture.build(before.get());
  EXPECT_FALSE(narrower->rules.front().changes.anyone);
  EXPECT_EQ(narrower->rules.front().changes.concerned.size(),
            1U);  // the peers that the absence of a list admitted
  fixture.tls().client_auth.allow.dns.clear();
  fixture.tls().client_auth.cut_live = false;
  EXPECT_TRUE(fixture.build(before.get())->rules.front().changes.anyone);
}

// --- resumption
// -------------------------------------------------------------------------------------------------

class Resumption : public testing::TestWithParam<std::uint16_t> {
 protected:
  [[nodiscard]] ClientOptions options() const { return {.max_version = GetParam()}; }
};
INSTANTIATE_TEST_SUITE_P(InTls12AndTls13, Resumption, testing::ValuesIn(kBothVersions));

TEST_P(Resumption, WorksWithATicket) {
  Server server = serve(plain_listener().build());
  ClientOptions wanted = options();
  const Outcome first = connect(*server.context, wanted);
  EXPECT_FALSE(first.resumed);
  ASSERT_NE(first.session, nullptr);
  wanted.session = first.session.get();
  const Outcome second = connect(*server.context, wanted);
  EXPECT_TRUE(second.ok);
  EXPECT_TRUE(second.resumed);
  EXPECT_EQ(server.tickets(TicketEvent::kResumed), 1U);
}

TEST_P(Resumption, DoesNotHappenAtAllWhereTicketsAreOff) {
  ListenerFixture fixture = plain_listener();
  fixture.tls().resumption.tickets = false;
  Server server = serve(fixture.build());
  ClientOptions wanted = options();
  const Outcome first = connect(*server.context, wanted);
  EXPECT_TRUE(first.ok);
  if (first.session != nullptr) {
    EXPECT_EQ(SSL_SESSION_has_ticket(first.session.get()), 0);
    wanted.session = first.session.get();
    EXPECT_FALSE(connect(*server.context, wanted).resumed);
  }
  EXPECT_EQ(server.tickets(TicketEvent::kIssued), 0U);
}

TEST_P(Resumption, IsRefusedWhereTicketsAreOffToAClientThatStillHasOne) {
  ListenerFixture fixture = plain_listener();
  Server server = serve(fixture.build());
  ClientOptions wanted = options();
  const Outcome first = connect(*server.context, wanted);
  fixture.tls().resumption.tickets = false;
  Server off = serve(fixture.build());
  wanted.session = first.session.get();
  const Outcome second = connect(*off.context, wanted);
  EXPECT_TRUE(second.ok);
  EXPECT_FALSE(second.resumed);
}

TEST_P(Resumption, WorksAcrossInstancesThatShareASecret) {
  ListenerFixture fixture = plain_listener();
  const auto secrets = parse_ticket_secrets(new_secret_file().value());
  ASSERT_TRUE(secrets);
  auto shared = std::make_shared<TicketSecrets>();
  shared->secrets = {{secrets->front(), WallTime::max()}};
  fixture.ticket_secrets = shared;
  Server one = serve(fixture.build());
  Server other = serve(fixture.build());
  ClientOptions wanted = options();
  const Outcome first = connect(*one.context, wanted);
  wanted.session = first.session.get();
  EXPECT_TRUE(connect(*other.context, wanted).resumed);
}

TEST_P(Resumption, OfATicketOfAnotherProcessFallsBackToAFullHandshake) {
  Server one = serve(plain_listener().build());
  Server other = serve(plain_listener().build());
  ClientOptions wanted = options();
  const Outcome first = connect(*one.context, wanted);
  wanted.session = first.session.get();
  const Outcome second = connect(*other.context, wanted);
  EXPECT_TRUE(second.ok);
  EXPECT_FALSE(second.resumed);
  EXPECT_EQ(other.tickets(TicketEvent::kUnknownKey), 1U);
}

// A ticket of a listener that asks for no certificate must not open one that does: the class of nginx's
// CVE-2025-23419.
TEST_P(Resumption, NeverCarriesAClientIntoAListenerThatRequiresACertificate) {
  ListenerFixture open = plain_listener();
  ListenerFixture closed = mutual_listener();
  open.ticket_secrets = closed.ticket_secrets = open.build()->ticket_secrets;
  closed.listener.name = open.listener.name;  // even after a reload that only adds the requirement
  Server first_server = serve(open.build());
  Server second_server = serve(closed.build());
  ClientOptions wanted = options();
  const Outcome first = connect(*first_server.context, wanted);
  ASSERT_NE(first.session, nullptr);
  wanted.session = first.session.get();
  const Outcome second = connect(*second_server.context, wanted);
  EXPECT_FALSE(second.ok);
  EXPECT_EQ(second.failure, HandshakeFailure::kClientCertificateMissing);
  EXPECT_EQ(second_server.tickets(TicketEvent::kRefusedPolicy), 1U);
}

TEST_P(Resumption, NeverCrossesListeners) {
  ListenerFixture one = plain_listener();
  ListenerFixture other = plain_listener();
  other.listener.name = "another";
  one.ticket_secrets = other.ticket_secrets = one.build()->ticket_secrets;
  Server first_server = serve(one.build());
  Server second_server = serve(other.build());
  ClientOptions wanted = options();
  const Outcome first = connect(*first_server.context, wanted);
  wanted.session = first.session.get();
  EXPECT_FALSE(connect(*second_server.context, wanted).resumed);
}

TEST_P(Resumption, OfACertificateSinceRemovedIsAFullHandshake) {
  const Issued replacement = issue({});
  ListenerFixture before = plain_listener();
  ListenerFixture after = plain_listener();
  after.certificates = {stored(replacement)};
  before.ticket_secrets = after.ticket_secrets = before.build()->ticket_secrets;
  Server first_server = serve(before.build());
  Server second_server = serve(after.build());
  ClientOptions wanted = options();
  const Outcome first = connect(*first_server.context, wanted);
  wanted.session = first.session.get();
  const Outcome second = connect(*second_server.context, wanted);
  EXPECT_TRUE(second.ok);
  EXPECT_FALSE(second.resumed);
  EXPECT_EQ(second.served_fingerprint, identity_of(replacement.certificate.get()).fingerprint);
  EXPECT_EQ(second_server.tickets(TicketEvent::kRefusedPolicy), 1U);
}

TEST_P(Resumption, NeverCrossesNamesWithDifferentCertificates) {
  const Issued other = issue({.common_name = "other.example.net"});
  ListenerFixture fixture = plain_listener();
  fixture.certificates.push_back(stored(other));
  Server server = serve(fixture.build());
  ClientOptions wanted = options();
  const Outcome first = connect(*server.context, wanted);
  wanted.session = first.session.get();
  wanted.server_name = "other.example.net";
  const Outcome second = connect(*server.context, wanted);
  EXPECT_FALSE(second.resumed);
}

TEST_P(Resumption, KeepsTheIdentityOfThePeer) {
  const Issued peer = client({.common_name = "web", .uris = {"spiffe://prod/ns/web"}});
  ListenerFixture fixture = mutual_listener();
  Server server = serve(fixture.build());
  ClientOptions wanted = options();
  wanted.certificate = &peer;
  const Outcome first = connect(*server.context, wanted);
  ASSERT_TRUE(first.ok);
  wanted.session = first.session.get();
  const Outcome second = connect(*server.context, wanted);
  EXPECT_TRUE(second.resumed);
  ASSERT_NE(second.peer, nullptr);
  EXPECT_EQ(*second.peer, *first.peer);
}

TEST_P(Resumption, OfAPeerRevokedSinceIsRefused) {
  const Issued peer = client({.common_name = "web"});
  ListenerFixture before = mutual_listener();
  ListenerFixture after = mutual_listener();
  after.crl_pem = test::revocation_list(client_ca(), {.revoked = {&peer}});
  before.ticket_secrets = after.ticket_secrets = before.build()->ticket_secrets;
  Server first_server = serve(before.build());
  Server second_server = serve(after.build());
  ClientOptions wanted = options();
  wanted.certificate = &peer;
  const Outcome first = connect(*first_server.context, wanted);
  ASSERT_TRUE(first.ok);
  wanted.session = first.session.get();
  const Outcome second = connect(*second_server.context, wanted);
  EXPECT_FALSE(second.ok);
  EXPECT_EQ(second.failure, HandshakeFailure::kClientCertificateRevoked);
}

TEST_P(Resumption, DoesNotOutliveTheLifetimeFromTheFullHandshake) {
  ListenerFixture fixture = plain_listener();
  fixture.tls().resumption.lifetime = std::chrono::seconds(-1);
  auto secrets = std::make_shared<TicketSecrets>(*fixture.build()->ticket_secrets);
  secrets->lifetime = std::chrono::hours(1);
  fixture.ticket_secrets = secrets;
  auto shared = std::make_shared<ListenerTls>(*fixture.build());
  Server server = serve(shared);
  SSL_CTX_set_timeout(server.context->get(), 3600);  // only the binding says that it is over
  ClientOptions wanted = options();
  const Outcome first = connect(*server.context, wanted);
  ASSERT_NE(first.session, nullptr);
  wanted.session = first.session.get();
  EXPECT_FALSE(connect(*server.context, wanted).resumed);
  EXPECT_EQ(server.tickets(TicketEvent::kExpired), 1U);
}

}  // namespace
}  // namespace headgate
