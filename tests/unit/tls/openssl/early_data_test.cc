#include "tls/library/early_data.h"

#include <sys/socket.h>

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "unit/tls/handshake/server_handshake_fixture.h"

// The early data of a client of OpenSSL's.
namespace headgate::test {
namespace {

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
  SessionPtr session = client.take_session();
  // OpenSSL makes sessions of connections that broke unusable.
  SSL_set_shutdown(client.ssl(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  HG_CHECK(session != nullptr && SSL_SESSION_get_max_early_data(session.get()) > 0);
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

constexpr const char* kOneHello = "P-256";
constexpr const char* kTwoHellos = "P-521:P-256";  // the first one is sent a share for, and not served

INSTANTIATE_TEST_SUITE_P(AtOnceAndAfterARetry, EarlyDataTest,
                         testing::Values(EarlyData{kOneHello, config::RecordLayer::kAuto, 1, 5},
                                         EarlyData{kOneHello, config::RecordLayer::kOpenssl, 1, 5},
                                         EarlyData{kOneHello, config::RecordLayer::kAuto, 7, 16'384},
                                         EarlyData{kOneHello, config::RecordLayer::kAuto, 1'000, 1},
                                         EarlyData{kTwoHellos, config::RecordLayer::kAuto, 1, 5},
                                         EarlyData{kTwoHellos, config::RecordLayer::kOpenssl, 1, 16'384},
                                         EarlyData{kTwoHellos, config::RecordLayer::kAuto, 7, 16'384},
                                         EarlyData{kTwoHellos, config::RecordLayer::kAuto, 1'000, 1}));

class UnwantedEarlyDataTest : public ServerHandshakeTest {};

TEST_F(UnwantedEarlyDataTest, ThatComesByteByByteIsSkipped) {
  serve("P-256");
  hello_comes_alone = true;
  const SessionPtr session = session_with_early_data();
  for (const char* groups : {kOneHello, kTwoHellos}) {
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

TEST_F(UnwantedEarlyDataTest, BeyondTheBoundIsRefused) {
  serve("P-256");
  const SessionPtr session = session_with_early_data();
  for (const char* groups : {kOneHello, kTwoHellos}) {
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

}  // namespace
}  // namespace headgate::test
