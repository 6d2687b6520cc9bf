#include "tls/handshake/server_handshake.h"

#include <sys/socket.h>

#include <string>
#include <thread>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/check.h"
#include "unit/tls/handshake/server_handshake_fixture.h"
#include "unit/tls/which_library.h"

namespace headgate::test {
namespace {

using testing::ElementsAre;

TEST_F(ServerHandshakeTest, AFullHandshakeOfTls13NeedsOnePermit) {
  serve("P-256");
  MemoryClient client;
  begin(client);
  EXPECT_THAT(run(client), ElementsAre(HandshakeWork::kFull));
  ASSERT_TRUE(accepted);
  EXPECT_EQ(accepted->negotiated.version, "TLSv1.3");
  EXPECT_EQ(accepted->protection, Protection::kHeadgate);
  EXPECT_EQ(offloaded, 0);
}

TEST_F(ServerHandshakeTest, AFullHandshakeOfTls12PaysForItsKeyExchangeToo) {
  serve("P-256");
  MemoryClient client({.max_version = TLS1_2_VERSION});
  begin(client);
  EXPECT_THAT(run(client), ElementsAre(HandshakeWork::kFull, HandshakeWork::kFinish));
  ASSERT_TRUE(accepted);
  EXPECT_EQ(accepted->protection, Protection::kOpenssl);
}

// The signature comes with the second ClientHello, so a permit for the first one must not be enough.
TEST_F(ServerHandshakeTest, TheHelloAfterAHelloRetryRequestNeedsAPermitOfItsOwn) {
  serve("RSA-2048");
  MemoryClient client({.groups = "P-521:X25519"});
  begin(client);
  EXPECT_THAT(run(client), ElementsAre(HandshakeWork::kFull, HandshakeWork::kFull));
  ASSERT_TRUE(accepted);
  EXPECT_TRUE(accepted->retried);
  EXPECT_EQ(offloaded, 1);
}

TEST_F(ServerHandshakeTest, ARsaSignatureIsMadeOnAnotherThread) {
  serve("RSA-2048");
  MemoryClient client;
  begin(client);
  run(client);
  ASSERT_TRUE(accepted);
  EXPECT_EQ(offloaded, 1);
  EXPECT_EQ(accepted->key_type, "RSA-2048");
}

TEST_F(ServerHandshakeTest, TellsBeforeTheFirstPermitWhatTheHandshakeCosts) {
  serve("RSA-2048");
  MemoryClient client;
  begin(client);
  EXPECT_EQ(handshake->cost().work, HandshakeWork::kFull);
  EXPECT_TRUE(handshake->cost().offloaded);
  EXPECT_EQ(handshake->cost().key_bits, 2048);
}

TEST_F(ServerHandshakeTest, ATicketOfOursIsResumedWithoutASignature) {
  serve("RSA-2048");
  MemoryClient first;
  begin(first);
  run(first);
  ASSERT_TRUE(accepted);
  accepted->stream->flush();
  while (deliver_to_client(first)) {
  }
  const SessionPtr session = first.take_session();
  ASSERT_NE(session, nullptr);
  ASSERT_EQ(SSL_SESSION_is_resumable(session.get()), 1);
  accepted.reset();
  offloaded = 0;
  MemoryClient second({.session = session.get()});
  begin(second);
  EXPECT_THAT(run(second), ElementsAre(HandshakeWork::kResume));
  ASSERT_TRUE(accepted);
  EXPECT_TRUE(accepted->negotiated.resumed);
  EXPECT_EQ(offloaded, 0);
}

// A claim is not enough to go first: only a ticket with our MAC counts.
TEST_F(ServerHandshakeTest, AForgedTicketIsAFullHandshakeFromTheStart) {
  serve("RSA-2048");
  MemoryClient first;
  begin(first);
  run(first);
  accepted->stream->flush();
  while (deliver_to_client(first)) {
  }
  const SessionPtr session = first.take_session();
  ASSERT_NE(session, nullptr);
  ASSERT_EQ(SSL_SESSION_is_resumable(session.get()), 1);
  serve("RSA-2048");  // other keys: this server takes the ticket for a forgery
  accepted.reset();
  MemoryClient second({.session = session.get()});
  begin(second);
  EXPECT_THAT(run(second), ElementsAre(HandshakeWork::kFull));
  ASSERT_TRUE(accepted);
  EXPECT_FALSE(accepted->negotiated.resumed);
}

// A ticket of ours may still not be used: then the signature waits for a permit of its own.
TEST_F(ServerHandshakeTest, ATicketOfOursThatMayNotBeUsedIsPaidForAsAFullHandshake) {
  ListenerFixture fixture;
  leaf = issue({.key = "RSA-2048"});
  fixture.certificates = {stored(*leaf)};
  serve(fixture);
  const auto secrets = shared->ticket_secrets;
  MemoryClient first;
  begin(first);
  run(first);
  accepted->stream->flush();
  while (deliver_to_client(first)) {
  }
  const SessionPtr session = first.take_session();
  ASSERT_NE(session, nullptr);
  const Issued renewed = issue({.key = "RSA-2048"});
  fixture.certificates = {stored(renewed)};
  fixture.ticket_secrets = secrets;  // the same keys, but another certificate: the session is bound to it
  serve(fixture);
  accepted.reset();
  offloaded = 0;
  MemoryClient second({.session = session.get()});
  begin(second);
  EXPECT_THAT(run(second), ElementsAre(HandshakeWork::kResume, HandshakeWork::kFull));
  ASSERT_TRUE(accepted);
  EXPECT_FALSE(accepted->negotiated.resumed);
  EXPECT_EQ(offloaded, 1);
}

TEST_F(ServerHandshakeTest, VerifyingTheClientsCertificateNeedsAPermit) {
  const Issued ca = issue({.common_name = "ca", .ca = true});
  const Issued client_leaf = issue({.common_name = "client", .extended_key_usage = "clientAuth"}, &ca);
  ListenerFixture fixture;
  leaf = issue({});
  fixture.certificates = {stored(*leaf)};
  fixture.client_ca = &ca;
  fixture.tls().client_auth.mode = config::ClientAuthMode::kRequired;
  serve(std::move(fixture));
  MemoryClient client({.certificate = &client_leaf});
  begin(client);
  EXPECT_THAT(run(client), ElementsAre(HandshakeWork::kFull, HandshakeWork::kFinish));
  ASSERT_TRUE(accepted);
  ASSERT_NE(accepted->peer, nullptr);
}

TEST_F(ServerHandshakeTest, RefusesWithTheReasonAndTheAlert) {
  ListenerFixture fixture;
  leaf = issue({});
  fixture.certificates = {stored(*leaf)};
  fixture.tls().min_version = config::TlsVersion::kTls13;
  serve(std::move(fixture));
  MemoryClient client({.max_version = TLS1_2_VERSION});
  begin(client);
  run(client);
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->failure, HandshakeFailure::kUnsupportedVersion);
  EXPECT_EQ(refused->alert, SSL_AD_PROTOCOL_VERSION);
  EXPECT_NE(refused->stream, nullptr);
}

TEST_F(ServerHandshakeTest, NamesAClientThatLeft) {
  serve("P-256");
  MemoryClient client;
  begin(client);
  peer.close();
  run(client);
  ASSERT_TRUE(refused);
  EXPECT_TRUE(refused->kind == FailureKind::kTruncated || refused->kind == FailureKind::kReset);
}

// The operation owns the objects that it uses, and the handshake those that OpenSSL calls back into: each may
// go first.
TEST_F(ServerHandshakeTest, MayEndWhileItsSignatureIsMadeAndEverythingElseIsGone) {
  serve("RSA-2048");
  MemoryClient client;
  begin(client);
  handshake->permit();
  auto answer = handshake->step();
  auto* off = std::get_if<ServerHandshake::Offload>(&answer);
  ASSERT_NE(off, nullptr);
  const auto operation = off->operation;
  std::thread performing([operation] { operation->perform(); });
  context.reset();
  shared.reset();
  handshake.reset();
  aead.reset();
  offload.reset();
  library.reset();
  performing.join();
  EXPECT_TRUE(operation->is_finished());
}

// A reload drops the context while a handshake is under way: the handshake's own reference keeps it.
TEST_F(ServerHandshakeTest, GoesOnWhenTheContextIsRetiredMeanwhile) {
  serve("RSA-2048");
  MemoryClient client;
  begin(client);
  std::weak_ptr<ServerContext> retired = context;
  context.reset();
  shared.reset();
  run(client);
  EXPECT_TRUE(accepted);
  accepted.reset();
  handshake.reset();
  EXPECT_TRUE(retired.expired());
}

TEST_F(ServerHandshakeTest, WaitsForItsOperationHoweverOftenItIsAsked) {
  serve("RSA-2048");
  MemoryClient client;
  begin(client);
  handshake->permit();
  const auto first = handshake->step();
  ASSERT_TRUE(std::holds_alternative<ServerHandshake::Offload>(first));
  const auto again = handshake->step();
  ASSERT_TRUE(std::holds_alternative<ServerHandshake::Offload>(again));
  EXPECT_EQ(std::get<ServerHandshake::Offload>(first).operation,
            std::get<ServerHandshake::Offload>(again).operation);
}

constexpr const char* kAtOnce = "P-256";
constexpr const char* kRetried = "P-521:P-256";  // the first one is sent a share for, and not served

// RFC 8446, section 4.2.9.
TEST_F(ServerHandshakeTest, NoTicketGoesToAClientThatCannotUseIt) {
  for (const auto layer : {config::RecordLayer::kAuto, config::RecordLayer::kOpenssl}) {
    record_layer = layer;
    serve("P-256");
    for (const bool takes : {true, false}) {
      // AWS-LC reads by itself in the ClientHello that a client cannot use tickets, and this client can.
      if (layer == config::RecordLayer::kOpenssl && !takes && is_on_awslc()) continue;
      takes_tickets = takes;
      accepted.reset();
      const auto before = metrics.tickets[static_cast<std::size_t>(TicketEvent::kIssued)].value();
      MemoryClient client;
      begin(client);
      run(client);
      ASSERT_TRUE(accepted);
      accepted->stream->write(bytes_of("AWS-LC sends tickets with the first bytes"));
      while (deliver_to_client(client)) {
      }
      EXPECT_EQ(client.take_session() != nullptr, takes);
      EXPECT_EQ(metrics.tickets[static_cast<std::size_t>(TicketEvent::kIssued)].value() > before, takes);
    }
  }
}

/// `hello`, one record, with a byte more in the record.
std::vector<std::byte> with_a_byte_more(std::vector<std::byte> hello) {
  hello.push_back(std::byte{1});
  const std::size_t size = hello.size() - 5;
  hello[3] = static_cast<std::byte>(size >> 8);
  hello[4] = static_cast<std::byte>(size & 0xff);
  return hello;
}

// RFC 8446, section 5.1.
TEST_F(ServerHandshakeTest, AClientHelloWithMoreInItsRecordIsUnexpectedAfterARetryAndInPlaceOfAFinished) {
  serve("P-256");
  for (const char* groups : {kAtOnce, kRetried}) {
    for (const bool more : {true, false}) {
      if (groups == kRetried && !more) continue;  // which is another fault: the hello did not change
      refused.reset();
      MemoryClient client({.groups = groups});
      begin(client);
      sent_instead = more ? with_a_byte_more(first_flight) : first_flight;
      run(client);
      ASSERT_TRUE(refused) << groups;
      // AWS-LC looks at the version of the record first, and at the changes in a second hello.
      const int of_awslc = groups == kRetried ? SSL_AD_ILLEGAL_PARAMETER : SSL_AD_PROTOCOL_VERSION;
      EXPECT_EQ(refused->alert, is_on_awslc() ? of_awslc : SSL_AD_UNEXPECTED_MESSAGE) << groups;
      EXPECT_EQ(refused->failure, HandshakeFailure::kProtocolError) << groups;
    }
  }
}

/// A server whose flight is far larger than the send buffer of its socket: it names 200 CAs.
class LargeFlightTest : public ServerHandshakeTest {
 protected:
  void serve_large_flight() {
    ListenerFixture fixture;
    leaf = issue({.key = "RSA-2048"});
    fixture.certificates = {stored(*leaf)};
    fixture.client_ca = &ca;
    fixture.tls().client_auth.mode = config::ClientAuthMode::kRequired;
    serve(std::move(fixture));
    for (int i = 0; i < 200; ++i) {
      const Issued other =
          issue({.common_name = "an authority with a name of some length, number " + std::to_string(i),
                 .ca = true});
      HG_CHECK(SSL_CTX_add_client_CA(context->get(), other.certificate.get()) == 1);
    }
  }
  /// begin(), on a socket that takes few bytes at once.
  void begin_on_tight_socket(MemoryClient& client) {
    begin(client);
    const int smallest = 1;  // the kernel's least: some 4 KiB
    ::setsockopt(handshake->descriptor(), SOL_SOCKET, SO_SNDBUF, &smallest, sizeof smallest);
  }

  const Issued ca = issue({.common_name = "ca", .ca = true});
  const Issued client_leaf = issue({.common_name = "client", .extended_key_usage = "clientAuth"}, &ca);
};

// The CAs' names go before the signature.
TEST_F(LargeFlightTest, TheBytesBeforeTheSignatureLeaveWhileItIsMade) {
  if (is_on_awslc()) GTEST_SKIP() << "AWS-LC writes no part of a flight";
  serve_large_flight();
  MemoryClient client({.max_version = TLS1_3_VERSION});
  begin_on_tight_socket(client);
  EXPECT_FALSE(handshake->has_unsent());
  handshake->permit();
  const auto answer = handshake->step();
  ASSERT_TRUE(std::holds_alternative<ServerHandshake::Offload>(answer));
  EXPECT_TRUE(handshake->has_unsent());
  for (int i = 0; i < 1000 && handshake->has_unsent(); ++i) {
    while (deliver_to_client(client)) {
    }
    EXPECT_TRUE(std::holds_alternative<ServerHandshake::Wait>(handshake->flush()));
  }
  EXPECT_FALSE(handshake->has_unsent());
}

/// Sends every flight through a socket that takes few bytes at once, in TLS 1.2 and 1.3.
class TightBufferTest : public LargeFlightTest,
                        public testing::WithParamInterface<std::tuple<std::uint16_t, std::size_t>> {};

TEST_P(TightBufferTest, TheHandshakeWaitsForWritingUntilAllOfAFlightHasLeft) {
  const auto [version, piece_bytes] = GetParam();
  serve_large_flight();
  MemoryClient client({.max_version = version, .certificate = &client_leaf});
  begin_on_tight_socket(client);
  run(client, piece_bytes);
  ASSERT_TRUE(accepted);
  EXPECT_GT(waits_for_writing, 0);
}

INSTANTIATE_TEST_SUITE_P(InTls12AndTls13, TightBufferTest,
                         testing::Combine(testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                                          testing::Values(1, 7, 1000, 65536)));

}  // namespace
}  // namespace headgate::test
