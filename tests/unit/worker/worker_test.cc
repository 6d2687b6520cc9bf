#include "worker/worker.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "base/check.h"
#include "net/socket.h"
#include "unit/tls/memory_client.h"

namespace headgate::test {
namespace {

using namespace std::chrono_literals;

constexpr int kPatienceMs = 20'000;

/// Whether `fd` is ready for `events` in time.
bool await(int fd, short events) {
  pollfd ready{.fd = fd, .events = events, .revents = 0};
  return ::poll(&ready, 1, kPatienceMs) == 1;
}

/// Sends back the bytes that it gets, on a thread of its own.
class EchoServer {
 public:
  EchoServer() : socket_(*listen_on(*Address::parse("127.0.0.1:0"), {})), thread_([this] { serve(); }) {}
  ~EchoServer() {
    stopping_ = true;
    thread_.join();
  }
  EchoServer(const EchoServer&) = delete;
  EchoServer& operator=(const EchoServer&) = delete;
  [[nodiscard]] std::string address() const { return local_address(socket_.number()).text(); }

 private:
  void serve() {
    std::vector<pollfd> watched{{.fd = socket_.number(), .events = POLLIN, .revents = 0}};
    std::vector<Fd> clients;
    std::vector<char> bytes(16384);
    while (!stopping_) {
      ::poll(watched.data(), watched.size(), 10);
      if (const int fd = ::accept4(socket_.number(), nullptr, nullptr, SOCK_CLOEXEC); fd >= 0) {
        clients.emplace_back(fd);
        watched.push_back({.fd = fd, .events = POLLIN, .revents = 0});
      }
      for (std::size_t i = 1; i < watched.size(); ++i) {
        if (watched[i].revents == 0 || watched[i].fd < 0) continue;
        const ssize_t size = ::recv(watched[i].fd, bytes.data(), bytes.size(), MSG_DONTWAIT);
        if (size > 0) {
          ::send(watched[i].fd, bytes.data(), static_cast<std::size_t>(size), MSG_NOSIGNAL);
        } else if (size == 0 || errno != EAGAIN) {
          clients[i - 1].close();
          watched[i].fd = -1;
        }
      }
    }
  }

  Fd socket_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

/// A worker with its thread, a listener "web" whose certificate has an RSA key, and an echo server behind it.
class WorkerTest : public testing::Test {
 protected:
  explicit WorkerTest(const std::string& key = "RSA-2048")
      : nowhere_(::open("/dev/null", O_WRONLY | O_CLOEXEC)),
        log_(*Log::open({.level = LogLevel::kDebug, .format = LogFormat::kText, .fd = nowhere_.number()})) {
    config::Listener web;
    web.name = "web";
    web.backend = "app";
    web.tls.emplace();
    web.tls->certificates.emplace_back().certificate = files_.write("leaf.pem", issue({.key = key}).pem());
    config_.listeners.push_back(std::move(web));
    config::Backend app;
    app.name = "app";
    app.servers.emplace_back().address = echo_.address();
    config_.backends.emplace("app", std::move(app));
    worker_ = *Worker::make({}, *log_, registry_);
    reload();
    Fd socket = *listen_on(*Address::parse("127.0.0.1:0"), {});
    address_ = local_address(socket.number());
    auto shared = std::make_shared<Fd>(std::move(socket));
    worker_->post([this, shared] { worker_->listen({"web", "127.0.0.1:0", std::move(*shared)}); });
    EXPECT_TRUE(worker_->start());
  }

  /// Makes the worker adopt the configuration anew; the snapshot before ends with its last connection.
  void reload() {
    Diagnostics faults;
    auto shared = Snapshot::build(config_, {}, directory_, std::chrono::system_clock::now(), faults);
    HG_CHECK(shared != nullptr);
    auto snapshot =
        *WorkerSnapshot::prepare(shared, 0, worker_->library(), *worker_->offload_library(), registry_);
    last_ = snapshot;
    worker_->post([worker = worker_.get(), snapshot]() mutable {
      worker->adopt(std::move(snapshot), config::AccessLog::kOff);
    });
  }
  /// Runs `ask` on the worker's thread and waits for its answer.
  template <class Ask>
  auto on_loop(Ask ask) {
    std::promise<decltype(ask())> answer;
    auto told = answer.get_future();
    worker_->post([&] { answer.set_value(ask()); });
    return told.get();
  }
  /// Waits until the worker has no connection any more.
  [[nodiscard]] bool becomes_empty() {
    const TimePoint patience = Clock::now() + std::chrono::milliseconds(kPatienceMs);
    while (Clock::now() < patience) {
      if (on_loop([this] { return worker_->connections().empty(); })) return true;
      std::this_thread::sleep_for(5ms);
    }
    return false;
  }

  [[nodiscard]] Fd dial() const {
    Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    HG_CHECK(::connect(fd.number(), address_.data(), address_.size_bytes()) == 0);
    return fd;
  }
  [[nodiscard]] bool is_open() const {
    const Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    return ::connect(fd.number(), address_.data(), address_.size_bytes()) == 0;
  }
  static void send(const Fd& fd, std::span<const std::byte> bytes) {
    if (!bytes.empty()) ::send(fd.number(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  /// Gives the client the bytes that arrive next; false at the end or when no bytes come.
  static bool receive(const Fd& fd, MemoryClient& client) {
    if (!await(fd.number(), POLLIN)) return false;
    std::vector<std::byte> bytes(65536);
    const ssize_t size = ::recv(fd.number(), bytes.data(), bytes.size(), 0);
    if (size <= 0) return false;
    client.give(std::span(bytes).first(static_cast<std::size_t>(size)));
    return true;
  }
  /// Goes on from any point of the handshake to an answer of the echo server.
  static std::string finish_and_echo(const Fd& fd, MemoryClient& client) {
    client.step();
    while (!client.is_done()) {
      send(fd, client.take());
      if (!receive(fd, client)) return "the connection ended in the handshake";
      client.step();
    }
    client.write("ping");
    send(fd, client.take());
    for (;;) {
      if (std::string text = client.read(); !text.empty()) return text;
      if (!receive(fd, client)) return "the connection ended before the echo";
    }
  }

  TemporaryDirectory files_;
  EchoServer echo_;
  Fd nowhere_;
  std::unique_ptr<Log> log_;
  config::Config config_;
  MetricsRegistry registry_;
  ServerDirectory directory_;
  std::unique_ptr<Worker> worker_;
  std::weak_ptr<WorkerSnapshot> last_;
  Address address_;
};

TEST_F(WorkerTest, ServesThroughAnRsaSignatureOnItsOtherThread) {
  MemoryClient client;
  const Fd fd = dial();
  EXPECT_EQ(finish_and_echo(fd, client), "ping");
}

// A reload comes in each state of a handshake: the snapshot with which the connection began is retired, and
// all other connections that used it have gone.
TEST_F(WorkerTest, AReloadInEachStateOfAHandshakeHarmsNothing) {
  enum class At { kAccepted, kHalfHello, kHello, kRetry, kSecondHello, kServersFlight };
  for (const At at :
       {At::kAccepted, At::kHalfHello, At::kHello, At::kRetry, At::kSecondHello, At::kServersFlight}) {
    const bool retry = at == At::kRetry || at == At::kSecondHello;
    MemoryClient client(retry ? MemoryClientOptions{.groups = "P-521:X25519"} : MemoryClientOptions{});
    const Fd fd = dial();
    client.step();
    const std::vector<std::byte> hello = client.take();
    const std::span<const std::byte> bytes(hello);
    if (at == At::kHalfHello) {
      send(fd, bytes.first(50));
    } else if (at != At::kAccepted) {
      send(fd, bytes);
    }
    if (retry || at == At::kServersFlight) {
      ASSERT_TRUE(receive(fd, client));
      client.step();
    }
    if (at == At::kSecondHello) send(fd, client.take());
    for (int i = 0; i < 3; ++i) reload();
    if (at == At::kAccepted) send(fd, bytes);
    if (at == At::kHalfHello) send(fd, bytes.subspan(50));
    EXPECT_EQ(finish_and_echo(fd, client), "ping") << static_cast<int>(at);
  }
}

TEST_F(WorkerTest, ConnectionsMayEndWhileTheirSignaturesAreMadeAndReloadsGoOn) {
  for (int round = 0; round < 5; ++round) {
    std::vector<Fd> hasty;
    for (int i = 0; i < 8; ++i) {
      MemoryClient client;
      client.step();
      hasty.push_back(dial());
      send(hasty.back(), client.take());
    }
    reload();
    worker_->post([worker = worker_.get()] { worker->end_all(CloseReason::kCut); });
    hasty.clear();
    reload();
  }
  MemoryClient client;
  const Fd fd = dial();
  EXPECT_EQ(finish_and_echo(fd, client), "ping");
}

TEST_F(WorkerTest, ARetiredSnapshotEndsWithItsLastConnection) {
  MemoryClient client;
  Fd fd = dial();
  ASSERT_EQ(finish_and_echo(fd, client), "ping");
  const std::weak_ptr<WorkerSnapshot> first = last_;
  reload();
  ASSERT_TRUE(on_loop([] { return true; }));
  EXPECT_FALSE(first.expired());
  fd.close();
  ASSERT_TRUE(becomes_empty());
  ASSERT_TRUE(on_loop([] { return true; }));
  EXPECT_TRUE(first.expired());
}

// The client connects on the worker's own thread: so the worker has not accepted it when its socket is to be
// closed.
TEST_F(WorkerTest, AClientThatWaitsAtASocketIsServedWhenItsListenerGoes) {
  Diagnostics faults;
  auto shared = Snapshot::build({}, {}, directory_, std::chrono::system_clock::now(), faults);
  ASSERT_NE(shared, nullptr);
  auto without = *WorkerSnapshot::prepare(shared, 0, worker_->library(), nullptr, registry_);
  const Fd fd = on_loop([&] {
    Fd waiting = dial();
    worker_->accept_last({{"web", "127.0.0.1:0"}});
    worker_->adopt(std::move(without), config::AccessLog::kOff);
    worker_->change_sockets({{"web", "127.0.0.1:0"}}, {});
    return waiting;
  });
  MemoryClient client;
  EXPECT_EQ(finish_and_echo(fd, client), "ping");
  EXPECT_FALSE(is_open());
}

TEST_F(WorkerTest, AClientThatWaitsAtASocketIsServedWhereADrainClosesIt) {
  const Fd fd = on_loop([&] {
    Fd waiting = dial();
    worker_->stop_accepting("", Worker::Waiting::kAccept);
    return waiting;
  });
  MemoryClient client;
  EXPECT_EQ(finish_and_echo(fd, client), "ping");
  EXPECT_FALSE(is_open());
}

TEST_F(WorkerTest, AClientThatWaitsAtASocketIsLeftToThoseThatHaveTheSocketToo) {
  auto socket = std::make_shared<Fd>(*listen_on(*Address::parse("127.0.0.1:0"), {}));
  const Fd of_others(::fcntl(socket->number(), F_DUPFD_CLOEXEC, 3));
  address_ = local_address(socket->number());
  const Fd client = on_loop([&] {
    worker_->listen({"web", "127.0.0.1:1", std::move(*socket)});
    Fd waiting = dial();
    worker_->stop_accepting("", Worker::Waiting::kLeave);
    return waiting;
  });
  const Fd accepted(::accept4(of_others.number(), nullptr, nullptr, SOCK_CLOEXEC));
  EXPECT_TRUE(accepted);
  EXPECT_EQ(registry_.listener(0, "web").accepted.value(), 0U);
}

/// A worker whose signatures take long.
class SlowWorkerTest : public WorkerTest {
 protected:
  SlowWorkerTest() : WorkerTest("RSA-4096") {}
};

TEST_F(SlowWorkerTest, AWorkerMayBeRetiredWhileSignaturesAreMade) {
  std::vector<Fd> waiting;
  for (int i = 0; i < 12; ++i) {
    MemoryClient client;
    client.step();
    waiting.push_back(dial());
    send(waiting.back(), client.take());
  }
  // One answer shows that signatures are being made; the other clients still wait for theirs.
  ASSERT_TRUE(await(waiting.front().number(), POLLIN));
  worker_.reset();
  for (const Fd& fd : waiting) EXPECT_TRUE(await(fd.number(), POLLIN)) << "each connection ends";
}

TEST_F(SlowWorkerTest, AClientThatLeftIsDroppedBeforeItsSignatureIsPaidFor) {
  for (int i = 0; i < 60; ++i) {
    MemoryClient client;
    client.step();
    const Fd fd = dial();
    send(fd, client.take());
  }
  ASSERT_TRUE(becomes_empty());
  const auto& metrics = registry_.listener(0, "web");
  EXPECT_EQ(metrics.handshakes[static_cast<std::size_t>(HandshakeResult::kOk)][0].value(), 0U);
  EXPECT_GT(metrics.closed[static_cast<std::size_t>(CloseReason::kClientLeftInHandshake)].value(), 0U);
}

}  // namespace
}  // namespace headgate::test
