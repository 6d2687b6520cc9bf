#pragma once

#include <fcntl.h>

#include <cerrno>
#include <deque>
#include <memory>
#include <optional>
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

/// Makes streams from scripts.
class FakeTransport final : public Transport {
 public:
  std::deque<std::shared_ptr<Script>>
      servers;  ///< The servers that the next dials reach; nullptr: `failure` at once.
  int failure = ECONNREFUSED;
  std::vector<std::string> dialled;
  std::vector<OwnEnd> dialled_from;  ///< In the same order.

  [[nodiscard]] std::unique_ptr<Stream> unread(std::unique_ptr<Stream> plain,
                                               std::vector<std::byte> received) override {
    auto script = script_of(*plain);
    script->reads.push_front({IoStatus::kDone, text_of(received)});
    script->buffered = true;
    return std::make_unique<FakeStream>(std::move(script));
  }
  [[nodiscard]] IoStatus discard(Stream& client, std::span<std::byte> room) override {
    if (dynamic_cast<FakeStream*>(&client) == nullptr) return sockets_.discard(client, room);
    return client.read(room).status;
  }
  [[nodiscard]] tl::expected<std::unique_ptr<Stream>, int> dial(const Address& address,
                                                                const OwnEnd& from) override {
    dialled.push_back(address.text());
    dialled_from.push_back(from);
    if (servers.empty()) return tl::unexpected(ECONNREFUSED);
    auto script = std::move(servers.front());
    servers.pop_front();
    if (!script) return tl::unexpected(int{failure});
    return std::make_unique<FakeStream>(std::move(script));
  }

  static std::shared_ptr<Script> script_of(const Stream& stream) {
    return static_cast<const FakeStream&>(stream).script();
  }
  static std::string text_of(const std::vector<std::byte>& bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

 private:
  SocketTransport sockets_;
};

/// The operation that a scripted handshake offloads: it computes nothing.
struct FakeOperation final : PrivateKeyOperation {
  void compute() override {}
};

/// Says how the scripted handshakes of a connection go, in addition to the script of its stream.
struct HandshakeScript {
  std::string received;  ///< The bytes with which the handshake began.
  std::unique_ptr<PeerIdentity> peer;
  HandshakeCost cost;
  /// After this many steps the handshake needs another permit; the first step needs one in any case.
  std::deque<int> permits_before_steps;
  int permits = 0;
  int secured = 0;  ///< Counts the handshakes with servers that were begun.
};

/// A handshake from the script of the client's stream: each of its `handshakes` is the answer of one step.
class FakeServerHandshake final : public ServerHandshake {
 public:
  FakeServerHandshake(HandshakeScript& script, std::unique_ptr<Stream> stream)
      : script_(script), stream_(std::move(stream)), client_(*FakeTransport::script_of(*stream_)) {}

  Answer step() override {
    if (!permitted_) return NeedsPermit{};
    if (!script_.permits_before_steps.empty() &&
        script_.permits_before_steps.front() == client_.handshake_steps) {
      script_.permits_before_steps.pop_front();
      permitted_ = false;
      return NeedsPermit{};
    }
    switch (stream_->handshake()) {
      case IoStatus::kDone:
        client_.tls = true;
        return accepted();
      case IoStatus::kWantRead:
        return Wait{.read = true, .write = stream_->unsent_bytes() > 0};
      case IoStatus::kWantWrite:
        return Wait{.read = false, .write = true};
      case IoStatus::kPaused:
        return Offload{std::make_shared<FakeOperation>()};
      case IoStatus::kEnded:
      case IoStatus::kFailed:
        break;
    }
    const StreamFailure& failure = stream_->failure();
    return Refused{.stream = std::move(stream_),
                   .kind = failure.kind == FailureKind::kNone ? FailureKind::kTruncated : failure.kind,
                   .failure = client_.refusal,
                   .alert = failure.alert,
                   .detail = failure.what};
  }
  Answer flush() override {
    static_cast<void>(stream_->flush());
    return Wait{.read = true, .write = has_unsent()};
  }
  [[nodiscard]] bool has_unsent() const override { return stream_->unsent_bytes() > 0; }
  void permit() override {
    permitted_ = true;
    ++script_.permits;
  }
  [[nodiscard]] HandshakeCost cost() const override { return script_.cost; }
  [[nodiscard]] int descriptor() const override { return client_.event.number(); }

 private:
  Accepted accepted() {
    Accepted done;
    done.stream = std::move(stream_);
    done.negotiated.version = "TLSv1.3";
    done.peer = std::move(script_.peer);
    return done;
  }

  HandshakeScript& script_;
  std::unique_ptr<Stream> stream_;
  Script& client_;
  bool permitted_ = false;
};

/// The counterpart for a handshake with a server.
class FakeClientHandshake final : public ClientHandshake {
 public:
  explicit FakeClientHandshake(std::unique_ptr<Stream> stream) : stream_(std::move(stream)) {}

  Answer step() override {
    switch (stream_->handshake()) {
      case IoStatus::kDone:
        return Secured{std::move(stream_)};
      case IoStatus::kWantRead:
        return Wait{.read = true, .write = stream_->unsent_bytes() > 0};
      case IoStatus::kWantWrite:
        return Wait{.read = false, .write = true};
      case IoStatus::kPaused:
        return Offload{std::make_shared<FakeOperation>()};
      case IoStatus::kEnded:
      case IoStatus::kFailed:
        break;
    }
    return Failed{stream_->failure().what};
  }
  Answer flush() override {
    if (stream_->flush() == IoStatus::kFailed) return Failed{stream_->failure().what};
    return Wait{.read = false, .write = has_unsent()};
  }
  [[nodiscard]] bool has_unsent() const override { return stream_->unsent_bytes() > 0; }
  [[nodiscard]] int descriptor() const override { return stream_->descriptor(); }

 private:
  std::unique_ptr<Stream> stream_;
};

class FakeHandshakes final : public Handshakes {
 public:
  HandshakeScript script;

  [[nodiscard]] std::unique_ptr<ServerHandshake> accept(std::unique_ptr<Stream> plain,
                                                        HandshakeStart start) override {
    script.received = FakeTransport::text_of(start.received);
    return std::make_unique<FakeServerHandshake>(
        script, std::make_unique<FakeStream>(FakeTransport::script_of(*plain)));
  }
  [[nodiscard]] Result<std::unique_ptr<ClientHandshake>> connect(std::unique_ptr<Stream> plain,
                                                                 std::shared_ptr<ClientContext>,
                                                                 const ServerRequest&) override {
    ++script.secured;
    return std::make_unique<FakeClientHandshake>(
        std::make_unique<FakeStream>(FakeTransport::script_of(*plain)));
  }
};

/// A worker whose clock a test moves, and which only records the calls that it gets.
class FakeHost final : public Host {
 public:
  TimePoint time = Clock::now() + 24h;  ///< So far ahead that no real timer fires in a test.
  int buried = 0, called_again = 0, flushes_asked = 0, clients_let_in = 0;
  std::vector<Connection*> with_waker, woken;
  std::shared_ptr<PrivateKeyOperation> operation;  ///< The operation that was offloaded last.
  std::function<void(Connection&)> on_ready_newcomer = [](Connection& connection) { connection.take_turn(); };

  [[nodiscard]] TimePoint now() const override { return time; }
  void bury(Connection&) override { ++buried; }
  void call_again(Connection&) override { ++called_again; }
  void call_in_turn(Connection& connection) override { on_ready_newcomer(connection); }
  void flush_soon(Connection&) override { ++flushes_asked; }
  void offload(Connection&, std::shared_ptr<PrivateKeyOperation> handed_over) override {
    operation = std::move(handed_over);
  }
  [[nodiscard]] std::function<void()> waker(Connection& connection) override {
    with_waker.push_back(&connection);
    return [this, &connection] { woken.push_back(&connection); };
  }
  void forget_waker(Connection& connection) override {
    std::erase(with_waker, &connection);
    std::erase(woken, &connection);
  }
  void client_let_in(Connection&) override { ++clients_let_in; }
};

/// The spare connections that a test gives it.
class FakeSpares final : public Spares {
 public:
  std::deque<std::shared_ptr<Script>> ready;
  bool to_give_up = false;  ///< It has some to give up.
  int given_up = 0;         ///< Counts how often descriptors were asked for.

  [[nodiscard]] std::unique_ptr<Stream> take(const BackendState&, const Choice&) override {
    if (ready.empty()) return nullptr;
    auto script = std::move(ready.front());
    ready.pop_front();
    return std::make_unique<FakeStream>(std::move(script));
  }
  bool give_up_descriptors() override {
    ++given_up;
    return to_give_up;
  }
};

/// An admission queue of at most one request, which the test serves.
class FakePermits final : public Permits {
 public:
  PermitRequest* waiting = nullptr;
  int in_progress = 0;
  std::vector<Duration> learned;

  void request(PermitRequest& request) override {
    waiting = &request;
    request.queued = true;
    request.granted = false;
  }
  void withdraw(PermitRequest& request) override {
    if (waiting == &request) waiting = nullptr;
  }
  void learn(const HandshakeCost&, Duration cpu) override { learned.push_back(cpu); }
  void begin(HandshakePlace&, std::uint32_t) override { ++in_progress; }
  void over(HandshakePlace&) override { --in_progress; }

  void grant() {
    PermitRequest& request = *std::exchange(waiting, nullptr);
    request.queued = false;
    request.granted = true;
    request.owner->permit_granted();
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

  /// Says that the server of that name has these addresses, in this order. Before start().
  void resolve(const std::string& server_address, const ServerState::Addresses& addresses);
  /// Accepts the connection and takes its first steps.
  void start();
  /// Another connection of the same worker that takes its first steps, after start().
  [[nodiscard]] std::unique_ptr<Connection> accept(std::shared_ptr<Script> other, std::uint64_t id);
  /// start(), and every step from there to the relay: hello, handshake and connect succeed.
  void start_relay();
  /// In place of start(): a connection of the listener in relay between these two; any number one after the
  /// other.
  void start_relay_over(std::unique_ptr<Stream> client_side, std::unique_ptr<Stream> backend_side);
  /// Runs one turn of the loop, which delivers the events of the descriptors.
  void wake() { loop.run_once(); }
  /// Moves the clock, and makes the connection look at its deadline.
  void pass(Duration time);
  /// The value of the metric for ends with that reason.
  [[nodiscard]] std::uint64_t ends(CloseReason reason) const;
  [[nodiscard]] std::string phase() const { return std::string(name(connection->phase())); }

  config::Config config;
  std::shared_ptr<Script> client = std::make_shared<Script>();
  std::shared_ptr<Script> server = std::make_shared<Script>();  ///< The first one dialled.
  std::string source = "192.0.2.7:4711";
  bool spliced = false;  ///< The next relay begins as one that carries bulk.

  Loop loop;
  Buffers buffers;
  FakeTransport transport;
  FakeHandshakes handshakes;
  FakePermits permits;
  FakeSpares spares;
  PipePool pipes;
  FakeHost host;
  FailureLimiter limiter;
  FlightRecorder recorder;
  KnownTlsInfo known_tls;
  std::size_t unfinished_bound =
      UnfinishedHellos::kMaxBytes;  ///< The bound with which start() makes the next object.
  std::optional<UnfinishedHellos> unfinished;
  MetricsRegistry metrics;
  std::unique_ptr<Connection> connection;

 private:
  void prepare();

  SelfSigned certificate_;
  Fd nowhere_;
  std::unique_ptr<Log> log_;
  std::unique_ptr<LibraryContext> library_;
  ServerDirectory directory_;
  std::vector<std::shared_ptr<ServerState>> resolved_;
  std::unique_ptr<Services> services_;
  std::shared_ptr<WorkerSnapshot> snapshot_;
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
    EXPECT_EQ(permits.in_progress, 0);                   \
  } while (false)

/// The first flight of a real client that asks for `name`.
[[nodiscard]] std::string client_hello(const char* name = "www.example.com", bool with_alpn = false);

}  // namespace headgate::test
