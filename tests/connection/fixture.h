#pragma once

#include <fcntl.h>

#include <cerrno>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "connection/connection.h"
#include "connection/fake_stream.h"
#include "tls/certificate/self_signed.h"

namespace headgate::test {

using namespace std::chrono_literals;

/// Streams from scripts.
class FakeTransport final : public Transport {
 public:
  std::deque<std::shared_ptr<Script>> servers;  ///< What the next dials reach; nullptr: ECONNREFUSED at once.
  std::vector<std::string> dialled;
  std::string received_by_tls;  ///< What accept_tls() was given.
  std::unique_ptr<PeerIdentity> peer;
  int detached = 0, attached = 0, secured = 0;

  [[nodiscard]] std::unique_ptr<Stream> unread(std::unique_ptr<Stream> plain,
                                               std::vector<std::byte> received) override {
    auto script = script_of(*plain);
    script->reads.push_front({IoStatus::kDone, text_of(received)});
    script->buffered = true;
    return std::make_unique<FakeStream>(std::move(script));
  }
  [[nodiscard]] Result<std::unique_ptr<Stream>> accept_tls(std::unique_ptr<Stream> plain,
                                                           std::vector<std::byte> received, ListenerState&,
                                                           const StoredCertificate&, Drive) override {
    received_by_tls = text_of(received);
    return std::make_unique<FakeStream>(script_of(*plain));
  }
  void finish_accept(std::unique_ptr<Stream>&, ListenerState&, ConnectionInfo& info) override {
    static constexpr TlsInfo kTls13{
        .version = InternedString("TLSv1.3"), .group = {}, .cipher = {}, .key_type = {}};
    info.tls = &kTls13;
    info.peer = std::move(peer);
  }
  void explain_failure(const Stream& client, ConnectionInfo& info) override {
    info.failure = script_of(client)->refusal;
    info.alert = static_cast<std::int16_t>(client.failure().alert);
  }
  [[nodiscard]] IoStatus discard(Stream& client, std::span<std::byte> room) override {
    return client.read(room).status;
  }
  void detach(Stream&) override { ++detached; }
  void attach(Stream&) override { ++attached; }
  [[nodiscard]] tl::expected<std::unique_ptr<Stream>, int> dial(const Address& address) override {
    dialled.push_back(address.text());
    if (servers.empty()) return tl::unexpected(ECONNREFUSED);
    auto script = std::move(servers.front());
    servers.pop_front();
    if (!script) return tl::unexpected(ECONNREFUSED);
    return std::make_unique<FakeStream>(std::move(script));
  }
  [[nodiscard]] Result<std::unique_ptr<Stream>> connect_tls(std::unique_ptr<Stream> plain, BackendState&,
                                                            const std::string&,
                                                            const ConnectionInfo&) override {
    ++secured;
    return std::make_unique<FakeStream>(script_of(*plain));
  }

 private:
  static std::shared_ptr<Script> script_of(const Stream& stream) {
    return static_cast<const FakeStream&>(stream).script();
  }
  static std::string text_of(const std::vector<std::byte>& bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
};

/// A worker whose clock a test moves, and which only notes what it is asked for.
class FakeHost final : public Host {
 public:
  TimePoint time = Clock::now() + 24h;  ///< So far ahead that no real timer fires in a test.
  int buried = 0, called_again = 0, flushes_asked = 0, peers_let_in = 0;
  std::unique_ptr<Stream> beside;  ///< What runs beside the loop.

  [[nodiscard]] TimePoint now() const override { return time; }
  void bury(Connection&) override { ++buried; }
  void call_again(Connection&) override { ++called_again; }
  void flush_soon(Connection&) override { ++flushes_asked; }
  void run_beside(Connection&, std::unique_ptr<Stream> client) override { beside = std::move(client); }
  void peer_let_in(Connection&) override { ++peers_let_in; }
};

/// An admission queue of at most one, served by the test.
class FakeTurns final : public Turns {
 public:
  Turn* waiting = nullptr;
  bool beside_the_loop = false;
  int in_progress = 0;

  void request(Turn& turn) override {
    waiting = &turn;
    turn.beside_the_loop = beside_the_loop;
  }
  void withdraw(Turn& turn) override {
    if (waiting == &turn) waiting = nullptr;
  }
  void begin(Connection&, std::uint32_t) override { ++in_progress; }
  void over(Connection&) override { --in_progress; }

  void grant() {
    Turn& turn = *std::exchange(waiting, nullptr);
    turn.granted = true;
    turn.owner->turn_granted();
  }
};

/// One connection to the listener "web" (TLS, unless a test takes it away) and its backend "app" of two
/// servers. A test changes `config` first, then calls start().
class ConnectionTest : public testing::Test {
 protected:
  ConnectionTest();
  ~ConnectionTest() override;

  [[nodiscard]] config::Listener& listener() { return config.listeners.front(); }
  [[nodiscard]] config::Backend& app() { return config.backends.at("app"); }

  /// Accepts the connection and takes its first steps.
  void start();
  /// start(), and everything after it until the relay: hello, handshake and connect go well.
  void start_relay();
  /// Delivers what descriptors announce.
  void wake() { loop.run_once(); }
  /// Moves the clock, and lets the deadline be looked at.
  void pass(Duration time);
  /// What the metric says about ends of that reason.
  [[nodiscard]] std::uint64_t ends(CloseReason reason) const;
  [[nodiscard]] std::string phase() const { return std::string(name(connection->phase())); }

  config::Config config;
  std::shared_ptr<Script> client = std::make_shared<Script>();
  std::shared_ptr<Script> server = std::make_shared<Script>();  ///< The first one dialled.
  std::string source = "192.0.2.7:4711";

  Loop loop;
  Buffers buffers;
  FakeTransport transport;
  FakeTurns turns;
  FakeHost host;
  FailureLimiter limiter;
  FlightRecorder recorder;
  MetricsRegistry metrics;
  std::unique_ptr<Connection> connection;

 private:
  SelfSigned certificate_;
  Fd nowhere_;
  std::unique_ptr<Log> log_;
  std::unique_ptr<LibraryContext> library_;
  ServerDirectory directory_;
  std::unique_ptr<Services> services_;
};

/// The same on a listener without TLS, in the relay phase from the start.
class RelayTest : public ConnectionTest {
 protected:
  RelayTest() { listener().tls.reset(); }
};

/// Expects that the connection has ended for that reason, once, and has been counted and buried.
#define EXPECT_END(reason)                               \
  do {                                                   \
    ASSERT_TRUE(connection->is_buried()) << phase();     \
    EXPECT_EQ(name(connection->close_reason()), reason); \
    EXPECT_EQ(ends(connection->close_reason()), 1U);     \
    EXPECT_EQ(host.buried, 1);                           \
    EXPECT_EQ(turns.in_progress, 0);                     \
  } while (false)

/// The first flight of a real client that asks for `name`.
[[nodiscard]] std::string client_hello(const char* name = "www.example.com", bool with_alpn = false);

}  // namespace headgate::test
