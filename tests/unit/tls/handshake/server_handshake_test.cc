#include "tls/handshake/server_handshake.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/check.h"
#include "unit/tls/memory_client.h"
#include "unit/tls/tls_pair.h"

namespace headgate::test {
namespace {

/// A pair of connected sockets, the first one for the server.
std::array<Fd, 2> socket_pair() {
  int ends[2];
  HG_CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
  return {Fd(ends[0]), Fd(ends[1])};
}

/// A server's handshake and its client, with a socket between them.
class ServerHandshakeTest : public testing::Test {
 protected:
  void serve(ListenerFixture fixture) {
    fixture.tls().record_layer = record_layer;
    shared = fixture.build();
    library = *LibraryContext::make();
    offload = *LibraryContext::make();
    context = *ServerContext::make(*library, offload, shared, metrics);
    aead.emplace(library->get());
  }
  void serve(const std::string& key) {
    ListenerFixture fixture;
    leaf = issue({.key = key});
    fixture.certificates = {stored(*leaf)};
    serve(std::move(fixture));
  }

  /// The client says hello, and the handshake begins.
  void begin(MemoryClient& client) {
    auto [ours, theirs] = socket_pair();
    peer = std::move(theirs);
    client.step();
    std::vector<std::byte> received = client.take();
    const auto hello = parse_client_hello(received);
    HG_CHECK(hello.has_value());
    const Selection selection = context->select(*hello);
    first_flight = received;
    if (hello_comes_alone) {
      behind_hello.assign(received.begin() + static_cast<std::ptrdiff_t>(hello->wire_bytes), received.end());
      received.resize(hello->wire_bytes);
    }
    HandshakeStart start{.context = context,
                         .certificate = selection.certificate,
                         .ticket = hello->ticket,
                         .sends_early_data = hello->offers_early_data,
                         .takes_tickets = takes_tickets,
                         .received = received};
    handshake = begin_server_handshake(std::move(start), std::move(ours), buffers, *aead);
  }

  /// Sends the bytes that the client wrote.
  void deliver_to_server(MemoryClient& client) {
    const auto bytes = client.take();
    if (!bytes.empty()) HG_CHECK(::send(peer.number(), bytes.data(), bytes.size(), 0) > 0);
  }
  /// Gives the client the bytes that have arrived, at most `most`; returns whether bytes had arrived.
  bool deliver_to_client(MemoryClient& client, std::size_t most = 65536) {
    std::vector<std::byte> bytes(most);
    const ssize_t size = ::recv(peer.number(), bytes.data(), bytes.size(), 0);
    if (size <= 0) return false;
    client.give(std::span(bytes).first(static_cast<std::size_t>(size)));
    return true;
  }

  /// Drives both ends to the end; returns the permitted works, in order.
  std::vector<HandshakeWork> run(MemoryClient& client, std::size_t client_reads = 65536) {
    std::vector<HandshakeWork> permitted;
    for (int i = 0; i < 100'000 && !accepted && !refused; ++i) {
      ServerHandshake::Answer answer = handshake->step();
      if (std::holds_alternative<ServerHandshake::NeedsPermit>(answer)) {
        permitted.push_back(handshake->cost().work);
        handshake->permit();
      } else if (auto* off = std::get_if<ServerHandshake::Offload>(&answer)) {
        ++offloaded;
        std::thread([operation = off->operation] { operation->perform(); }).join();
      } else if (const auto* wait = std::get_if<ServerHandshake::Wait>(&answer)) {
        if (wait->write) ++waits_for_writing;
        EXPECT_TRUE(wait->write || wait->read);
        if (!sent_instead.empty()) {
          HG_CHECK(::send(peer.number(), sent_instead.data(), sent_instead.size(), 0) > 0);
          sent_instead.clear();
          continue;
        }
        deliver_to_client(client, client_reads);
        client.step();
        deliver_to_server(client);
      } else if (auto* done = std::get_if<ServerHandshake::Accepted>(&answer)) {
        accepted = std::move(*done);
      } else if (auto* failed = std::get_if<ServerHandshake::Refused>(&answer)) {
        refused = std::move(*failed);
      } else {
        ADD_FAILURE() << std::get<ServerHandshake::Failed>(answer).what;
        break;
      }
    }
    return permitted;
  }

  /// Sends `text` from the client to the stream that was accepted; returns the bytes that come out of it.
  std::string carry(MemoryClient& client, const std::string& text) {
    client.write(text);
    deliver_to_server(client);
    std::vector<std::byte> room(16'384);
    ReadResult got = accepted->stream->read(room);
    // The handshake may have left word that nothing had arrived.
    if (got.status == IoStatus::kWantRead) got = accepted->stream->read(room);
    return {reinterpret_cast<const char*>(room.data()), got.size_bytes};
  }

  config::RecordLayer record_layer = config::RecordLayer::kAuto;
  bool takes_tickets = true;
  std::vector<std::byte> first_flight;  ///< The bytes with which the handshake began.
  bool hello_comes_alone = false;
  std::vector<std::byte> behind_hello;  ///< If it comes alone: what the client wrote behind it.
  std::vector<std::byte> sent_instead;  ///< Sent in place of the client's next flight.
  std::optional<Issued> leaf;
  std::shared_ptr<const ListenerTls> shared;
  std::unique_ptr<LibraryContext> library;
  std::shared_ptr<const LibraryContext> offload;
  ListenerMetrics metrics;
  std::shared_ptr<ServerContext> context;
  Buffers buffers;
  std::optional<AeadContexts> aead;
  Fd peer;
  std::unique_ptr<ServerHandshake> handshake;
  std::optional<ServerHandshake::Accepted> accepted;
  std::optional<ServerHandshake::Refused> refused;
  int offloaded = 0;
  int waits_for_writing = 0;
};

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

/// Returns the session of a client's first connection. The client may resume by it.
SessionPtr session_of(MemoryClient& client) {
  std::array<char, 16> buffer{};
  SSL_read(client.ssl(), buffer.data(), static_cast<int>(buffer.size()));
  return SessionPtr(SSL_get1_session(client.ssl()));
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
  const SessionPtr session = session_of(first);
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
  const SessionPtr session = session_of(first);
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
  const SessionPtr session = session_of(first);
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

/// Returns a session of another server, which allows early data.
SessionPtr session_with_early_data() {
  const Issued other = issue({});
  const SslCtxPtr context(SSL_CTX_new(TLS_server_method()));
  HG_CHECK(SSL_CTX_use_certificate(context.get(), other.certificate.get()) == 1);
  HG_CHECK(SSL_CTX_use_PrivateKey(context.get(), other.key.get()) == 1);
  SSL_CTX_set_max_early_data(context.get(), 1 << 20);
  const SslPtr server(SSL_new(context.get()));
  SSL_set_bio(server.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  SSL_set_accept_state(server.get());
  MemoryClient client;
  for (int i = 0; i < 4; ++i) {
    client.step();
    const auto sent = client.take();
    BIO_write(SSL_get_rbio(server.get()), sent.data(), static_cast<int>(sent.size()));
    SSL_do_handshake(server.get());
    std::vector<std::byte> answer(BIO_ctrl_pending(SSL_get_wbio(server.get())));
    BIO_read(SSL_get_wbio(server.get()), answer.data(), static_cast<int>(answer.size()));
    client.give(answer);
  }
  SessionPtr session = session_of(client);
  // OpenSSL makes sessions of connections that broke unusable.
  SSL_set_shutdown(client.ssl(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  HG_CHECK(SSL_SESSION_get_max_early_data(session.get()) > 0);
  return session;
}

void send_early_data(MemoryClient& client, std::size_t records, std::size_t record_bytes) {
  const std::string data(record_bytes, 'e');
  for (std::size_t i = 0; i < records; ++i) {
    std::size_t written = 0;
    HG_CHECK(SSL_write_early_data(client.ssl(), data.data(), data.size(), &written) == 1);
  }
}

/// Early data, its groups, and the layer of the records afterwards.
struct EarlyData {
  const char* groups;
  config::RecordLayer layer;
  std::size_t records, record_bytes;
};

class EarlyDataTest : public ServerHandshakeTest, public testing::WithParamInterface<EarlyData> {};

// The ticket is another server's, as after a migration. RFC 8446, section 4.2.10.
TEST_P(EarlyDataTest, IsSkippedAndNeverTakenForData) {
  record_layer = GetParam().layer;
  serve("P-256");
  const SessionPtr session = session_with_early_data();
  MemoryClient client({.groups = GetParam().groups, .session = session.get()});
  send_early_data(client, GetParam().records, GetParam().record_bytes);
  begin(client);
  run(client);
  ASSERT_TRUE(accepted) << refused->detail;
  client.step();
  EXPECT_TRUE(client.is_done());
  EXPECT_EQ(SSL_get_early_data_status(client.ssl()), SSL_EARLY_DATA_REJECTED);
  EXPECT_EQ(carry(client, "after"), "after");
}

constexpr const char* kAtOnce = "P-256";
constexpr const char* kRetried = "P-521:P-256";  // the first one is sent a share for, and not served

INSTANTIATE_TEST_SUITE_P(AtOnceAndAfterARetry, EarlyDataTest,
                         testing::Values(EarlyData{kAtOnce, config::RecordLayer::kAuto, 1, 5},
                                         EarlyData{kAtOnce, config::RecordLayer::kOpenssl, 1, 5},
                                         EarlyData{kAtOnce, config::RecordLayer::kAuto, 7, 16'384},
                                         EarlyData{kAtOnce, config::RecordLayer::kAuto, 1'000, 1},
                                         EarlyData{kRetried, config::RecordLayer::kAuto, 1, 5},
                                         EarlyData{kRetried, config::RecordLayer::kOpenssl, 1, 16'384},
                                         EarlyData{kRetried, config::RecordLayer::kAuto, 7, 16'384},
                                         EarlyData{kRetried, config::RecordLayer::kAuto, 1'000, 1}));

TEST_F(ServerHandshakeTest, EarlyDataThatComesByteByByteIsSkipped) {
  serve("P-256");
  hello_comes_alone = true;
  const SessionPtr session = session_with_early_data();
  for (const char* groups : {kAtOnce, kRetried}) {
    accepted.reset();
    MemoryClient client({.groups = groups, .session = session.get()});
    send_early_data(client, 2, 300);
    begin(client);
    ASSERT_GT(behind_hello.size(), 600U);
    for (const std::byte one : behind_hello) {
      for (int i = 0; i < 2; ++i) {
        if (std::holds_alternative<ServerHandshake::NeedsPermit>(handshake->step())) handshake->permit();
      }
      HG_CHECK(::send(peer.number(), &one, 1, 0) == 1);
    }
    run(client);
    ASSERT_TRUE(accepted) << groups;
    EXPECT_EQ(carry(client, "after"), "after");
  }
}

TEST_F(ServerHandshakeTest, EarlyDataBeyondTheBoundIsRefused) {
  serve("P-256");
  const SessionPtr session = session_with_early_data();
  for (const char* groups : {kAtOnce, kRetried}) {
    accepted.reset();
    refused.reset();
    MemoryClient client({.groups = groups, .session = session.get()});
    send_early_data(client, 9, 16'384);
    begin(client);
    run(client);
    ASSERT_TRUE(refused) << groups;
    EXPECT_EQ(refused->alert, SSL_AD_UNEXPECTED_MESSAGE) << groups;
    EXPECT_EQ(refused->failure, HandshakeFailure::kProtocolError) << groups;
  }
}

// RFC 8446, section 4.2.9.
TEST_F(ServerHandshakeTest, NoTicketGoesToAClientThatCannotUseIt) {
  for (const auto layer : {config::RecordLayer::kAuto, config::RecordLayer::kOpenssl}) {
    record_layer = layer;
    serve("P-256");
    for (const bool takes : {true, false}) {
      takes_tickets = takes;
      accepted.reset();
      const auto before = metrics.tickets[static_cast<std::size_t>(TicketEvent::kIssued)].value();
      MemoryClient client;
      begin(client);
      run(client);
      ASSERT_TRUE(accepted);
      accepted->stream->flush();
      while (deliver_to_client(client)) {
      }
      EXPECT_EQ(SSL_SESSION_is_resumable(session_of(client).get()), takes ? 1 : 0);
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
      EXPECT_EQ(refused->alert, SSL_AD_UNEXPECTED_MESSAGE) << groups;
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
                        public testing::WithParamInterface<std::tuple<int, std::size_t>> {};

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
