#include "backend/health_check.h"

#include <poll.h>
#include <sys/socket.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "backend/probe.h"
#include "net/socket.h"

namespace headgate {
namespace {

using namespace std::chrono_literals;

/// Waits for the changes that a checker reports.
class Changes {
 public:
  void add(const HealthChange& change) {
    const std::lock_guard lock(mutex_);
    changes_.push_back(change);
    arrived_.notify_all();
  }
  std::optional<HealthChange> next() {
    std::unique_lock lock(mutex_);
    if (!arrived_.wait_for(lock, 10s, [this] { return !changes_.empty(); })) return std::nullopt;
    HealthChange change = changes_.front();
    changes_.erase(changes_.begin());
    return change;
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<HealthChange> changes_;
};

config::Backend checked_backend(std::string server,
                                config::HealthCheckType type = config::HealthCheckType::kTcp) {
  config::Backend backend;
  backend.name = "app";
  backend.servers = {{std::move(server), 1, 0}};
  backend.health_check =
      config::HealthCheck{.type = type, .interval = 5ms, .timeout = 5s, .rise = 1, .fall = 1};
  return backend;
}

Fd listen_anywhere() {
  return listen_on(Address::loopback(0), {}).value();
}

/// A port of this machine on which no process listens: a socket that does not listen keeps it.
class DeadPort {
 public:
  DeadPort() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const Address any = Address::loopback(0);
    EXPECT_EQ(::bind(socket_.number(), any.data(), any.size_bytes()), 0);
  }
  std::string text() const { return local_address(socket_.number()).text(); }

 private:
  Fd socket_;
};

class HealthCheckerTest : public testing::Test {
 protected:
  std::shared_ptr<const BackendGroup> group(const config::Backend& config) {
    return BackendGroup::build(config, directory_).value();
  }
  HealthChecker::Options options() {
    return {.open_tls = [this](const BackendGroup&, const Server&,
                               Fd connected) { return open_tls(std::move(connected)); },
            .on_change = [this](const HealthChange& change) { changes_.add(change); },
            .seed = 1};
  }
  virtual Result<std::unique_ptr<Stream>> open_tls(Fd) {
    return fail(ErrorKind::kInvalid, "no TLS in this test");
  }

  ServerDirectory directory_;
  Changes changes_;
};

TEST_F(HealthCheckerTest, TakesDownAServerThatRefusesAndSaysWhy) {
  const DeadPort dead;
  const auto app = group(checked_backend(dead.text()));
  HealthChecker checker(options());
  ASSERT_TRUE(checker.watch({app}).has_value());
  const auto change = changes_.next();
  ASSERT_TRUE(change.has_value());
  EXPECT_FALSE(change->up);
  EXPECT_THAT(change->why, testing::HasSubstr("refused"));
  EXPECT_FALSE(app->servers[0].state->is_up());
  EXPECT_EQ(app->servers[0].state->condition().why, change->why);
}

TEST_F(HealthCheckerTest, BringsUpAServerThatCanBeReachedAgain) {
  const DeadPort dead;
  const Fd server = listen_anywhere();
  const auto app = group(checked_backend("app.internal:80"));
  app->servers[0].state->publish({Address::parse(dead.text()).value()});
  HealthChecker checker(options());
  ASSERT_TRUE(checker.watch({app}).has_value());
  ASSERT_FALSE(changes_.next().value().up);
  app->servers[0].state->publish({local_address(server.number())});
  EXPECT_TRUE(changes_.next().value().up);
  EXPECT_TRUE(app->servers[0].state->is_up());
  EXPECT_EQ(app->servers[0].state->condition().why, "");
}

TEST_F(HealthCheckerTest, AServerIsWellWhenAnyOfItsAddressesIs) {
  const DeadPort dead;
  const Fd server = listen_anywhere();
  const auto app = group(checked_backend("app.internal:80"));
  app->servers[0].state->publish({Address::parse(dead.text()).value(), local_address(server.number())});
  const DeadPort other;
  const auto sick = group(checked_backend(other.text()));
  HealthChecker checker(options());
  ASSERT_TRUE(checker.watch({app, sick}).has_value());
  EXPECT_EQ(changes_.next().value().server, sick->servers[0].state);
  EXPECT_TRUE(app->servers[0].state->is_up());
}

TEST_F(HealthCheckerTest, AServerNoLongerCheckedCountsAsUp) {
  const DeadPort dead;
  const auto app = group(checked_backend(dead.text()));
  HealthChecker checker(options());
  ASSERT_TRUE(checker.watch({app}).has_value());
  ASSERT_FALSE(changes_.next().value().up);
  auto unchecked = checked_backend(dead.text());
  unchecked.health_check.reset();
  // The second server shows when the new list is in force.
  const DeadPort other;
  auto second = checked_backend(other.text());
  second.name = "api";
  ASSERT_TRUE(checker.watch({group(unchecked), group(second)}).has_value());
  ASSERT_EQ(changes_.next().value().server->backend(), "api");
  EXPECT_TRUE(app->servers[0].state->is_up());
}

TEST_F(HealthCheckerTest, ChecksUnixSockets) {
  const auto app = group(checked_backend("unix:/nowhere/headgate-test.sock"));
  HealthChecker checker(options());
  ASSERT_TRUE(checker.watch({app}).has_value());
  EXPECT_FALSE(changes_.next().value().up);
}

TEST_F(HealthCheckerTest, TlsChecksFailWhenTheHandshakeCannotBegin) {
  const Fd server = listen_anywhere();
  const auto app =
      group(checked_backend(local_address(server.number()).text(), config::HealthCheckType::kTls));
  HealthChecker checker(options());
  ASSERT_TRUE(checker.watch({app}).has_value());
  EXPECT_EQ(changes_.next().value().why, "TLS: no TLS in this test");
}

/// A server that says its words as soon as it is connected, and then nothing more.
class TalkingServer {
 public:
  explicit TalkingServer(std::string words)
      : listening_(listen_anywhere()), thread_([this, words = std::move(words)] {
          pollfd arriving{listening_.number(), POLLIN, 0};
          ::poll(&arriving, 1, -1);
          const Fd connection(::accept(listening_.number(), nullptr, nullptr));
          static_cast<void>(::send(connection.number(), words.data(), words.size(), MSG_NOSIGNAL));
          char heard = 0;
          while (::recv(connection.number(), &heard, 1, 0) > 0) heard_ += heard;
        }) {}
  ~TalkingServer() {
    ::shutdown(listening_.number(), SHUT_RDWR);
    thread_.join();
  }
  TalkingServer(const TalkingServer&) = delete;
  TalkingServer& operator=(const TalkingServer&) = delete;
  std::string text() const { return local_address(listening_.number()).text(); }

 private:
  Fd listening_;
  std::string heard_;
  std::thread thread_;
};

/// Why the first check of a server fails that says `words` and is asked for TLS in `protocol`.
std::string why_starttls_fails(HealthChecker::Options options, Changes& changes, ServerDirectory& directory,
                               StarttlsProtocol protocol, std::string words) {
  const TalkingServer server(std::move(words));
  auto config = checked_backend(server.text(), config::HealthCheckType::kTls);
  config.tls.emplace().starttls = protocol;
  const auto app = BackendGroup::build(config, directory).value();
  HealthChecker checker(std::move(options));
  EXPECT_TRUE(checker.watch({app}).has_value());
  const auto change = changes.next();
  return change ? change->why : "no change";
}

TEST_F(HealthCheckerTest, TlsChecksAskForTlsInTheProtocolOfTheBackend) {
  const auto why = [this](StarttlsProtocol protocol, std::string words) {
    return why_starttls_fails(options(), changes_, directory_, protocol, std::move(words));
  };
  EXPECT_EQ(why(StarttlsProtocol::kPostgres, "S"), "TLS: no TLS in this test") << "it went on to TLS";
  EXPECT_EQ(why(StarttlsProtocol::kPostgres, "N"), "STARTTLS: the server has no TLS: turn ssl on in it");
  EXPECT_EQ(why(StarttlsProtocol::kSmtp, "554 no\r\n"),
            "STARTTLS: the server does not welcome us: \"554 no\"");
  EXPECT_EQ(why(StarttlsProtocol::kPostgres, "SINJECTED"),
            "STARTTLS: the server sent plaintext behind its answer, before TLS");
}

/// Why the first check fails of a server that answers PING with `words` instead of +PONG.
std::string why_answer_fails(HealthChecker::Options options, Changes& changes, ServerDirectory& directory,
                             std::string words) {
  const TalkingServer server(std::move(words));
  auto config = checked_backend(server.text());
  config.health_check->send = "PING\r\n";
  config.health_check->expect = "+PONG";
  config.health_check->timeout = 200ms;
  const auto app = BackendGroup::build(config, directory).value();
  HealthChecker checker(std::move(options));
  EXPECT_TRUE(checker.watch({app}).has_value());
  const auto change = changes.next();
  return change ? change->why : "no change";
}

TEST_F(HealthCheckerTest, SaysWhatAnswerItHasHeardInPlaceOfTheExpectedOne) {
  const auto why = [this](std::string words) {
    return why_answer_fails(options(), changes_, directory_, std::move(words));
  };
  EXPECT_EQ(why("-ERR loading the data set\r\n"), "the server answers \"-ERR \", not \"+PONG\"");
  EXPECT_EQ(why("+P\x01\xff"), "the server answers \"+P??\", not \"+PONG\"") << "as far as it has come";
  EXPECT_EQ(why(""), "no answer in time");
  EXPECT_EQ(why("+PON"), "no answer in time");
}

/// A server that answers each connection, until it is told to answer otherwise.
class AnsweringServer {
 public:
  explicit AnsweringServer(std::string answer)
      : listening_(listen_anywhere()), answer_(std::move(answer)), thread_([this] { run(); }) {}
  ~AnsweringServer() {
    ::shutdown(listening_.number(), SHUT_RDWR);
    thread_.join();
  }
  AnsweringServer(const AnsweringServer&) = delete;
  AnsweringServer& operator=(const AnsweringServer&) = delete;

  std::string text() const { return local_address(listening_.number()).text(); }
  void answer(std::string other) {
    const std::lock_guard lock(mutex_);
    answer_ = std::move(other);
  }
  /// The first bytes of the last connection.
  std::string heard() {
    const std::lock_guard lock(mutex_);
    return heard_;
  }

 private:
  void run() {
    for (;;) {
      pollfd arriving{listening_.number(), POLLIN, 0};
      ::poll(&arriving, 1, -1);
      const Fd connection(::accept(listening_.number(), nullptr, nullptr));
      if (!connection) return;
      char room[256];
      const ssize_t size = ::recv(connection.number(), room, sizeof room, 0);
      const std::lock_guard lock(mutex_);
      if (size > 0) heard_.assign(room, static_cast<std::size_t>(size));
      static_cast<void>(::send(connection.number(), answer_.data(), answer_.size(), MSG_NOSIGNAL));
    }
  }

  Fd listening_;
  std::mutex mutex_;
  std::string answer_, heard_;
  std::thread thread_;
};

TEST_F(HealthCheckerTest, FollowsAServerWhoseAnswersChange) {
  AnsweringServer server("+PONG\r\n");
  auto config = checked_backend(server.text());
  config.health_check->send = "PING\r\n";
  config.health_check->expect = "+PONG";
  const auto app = group(config);
  HealthChecker checker(options());
  ASSERT_TRUE(checker.watch({app}).has_value());
  for (int round = 0; round < 3; ++round) {
    server.answer("-LOADING\r\n");
    EXPECT_EQ(changes_.next().value().why, "the server answers \"-LOAD\", not \"+PONG\"");
    server.answer("+PONG and more");
    EXPECT_TRUE(changes_.next().value().up);
  }
  EXPECT_EQ(server.heard(), "PING\r\n");
}

TEST_F(HealthCheckerTest, SaysThatItSpeaksForItselfWhereTheServersExpectAProxyHeader) {
  const std::string local("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", 16);
  const std::pair<config::SendProxy, std::string> cases[] = {{config::SendProxy::kV1, "PROXY UNKNOWN\r\n"},
                                                             {config::SendProxy::kV2, local}};
  for (const auto& [version, header] : cases) {
    AnsweringServer server("-no");
    auto config = checked_backend(server.text());
    config.name = "app" + std::to_string(static_cast<int>(version));
    config.send_proxy = version;
    config.health_check->expect = "+PONG";
    const auto app = group(config);
    HealthChecker checker(options());
    ASSERT_TRUE(checker.watch({app}).has_value());
    EXPECT_FALSE(changes_.next().value().up);
    EXPECT_EQ(server.heard(), header);
  }
}

/// A TLS stream whose handshake has one answer for ever: its peer is silent, or it fails at once.
class OneAnswerStream final : public Stream {
 public:
  explicit OneAnswerStream(Fd fd) : fd_(std::move(fd)), answer_(IoStatus::kWantRead) {}
  OneAnswerStream(Fd fd, FailureKind kind)
      : fd_(std::move(fd)), answer_(IoStatus::kFailed), failure_{.kind = kind, .what = "it failed"} {}
  int descriptor() const override { return fd_.number(); }
  IoStatus handshake() override { return answer_; }
  ReadResult read(std::span<std::byte>) override { return {}; }
  IoStatus write(std::span<const std::byte>) override { return IoStatus::kFailed; }
  IoStatus flush() override { return IoStatus::kDone; }
  std::size_t unsent_bytes() const override { return 0; }
  IoStatus end_writing() override { return IoStatus::kDone; }
  void reset_on_close() override {}
  const StreamFailure& failure() const override { return failure_; }

 private:
  Fd fd_;
  IoStatus answer_;
  StreamFailure failure_;
};

class FailingTlsTest : public HealthCheckerTest {
 protected:
  Result<std::unique_ptr<Stream>> open_tls(Fd fd) override {
    return std::make_unique<OneAnswerStream>(std::move(fd), kind_);
  }
  /// How a check of such a server ends.
  IoStatus end_of_check(FailureKind kind, bool backend_has_tls) {
    kind_ = kind;
    const Fd server = listen_anywhere();
    auto config = checked_backend(local_address(server.number()).text(), config::HealthCheckType::kTls);
    if (backend_has_tls) config.tls.emplace();
    const auto app = group(config);
    const OpenTls open = options().open_tls;
    Probe probe(*app, app->servers[0], local_address(server.number()), open);
    for (;;) {
      const IoStatus status = probe.advance();
      if (status == IoStatus::kDone || status == IoStatus::kFailed) return status;
      pollfd ready{probe.descriptor(), POLLIN | POLLOUT, 0};
      ::poll(&ready, 1, 10'000);
    }
  }

 private:
  FailureKind kind_ = FailureKind::kNone;
};

// The server of a passthrough may want a name or a certificate that only its clients have.
TEST_F(FailingTlsTest, AnAlertIsAnAnswerWhereClientsBringTheirOwnTls) {
  EXPECT_EQ(end_of_check(FailureKind::kPeerAlert, false), IoStatus::kDone);
  EXPECT_EQ(end_of_check(FailureKind::kPeerAlert, true), IoStatus::kFailed);
  EXPECT_EQ(end_of_check(FailureKind::kProtocol, false), IoStatus::kFailed);
  EXPECT_EQ(end_of_check(FailureKind::kReset, false), IoStatus::kFailed);
}

class SilentTlsTest : public HealthCheckerTest {
 protected:
  Result<std::unique_ptr<Stream>> open_tls(Fd fd) override {
    return std::make_unique<OneAnswerStream>(std::move(fd));
  }
};

TEST_F(SilentTlsTest, AHandshakeThatIsNotAnsweredInTimeIsAFailure) {
  const Fd server = listen_anywhere();
  auto config = checked_backend(local_address(server.number()).text(), config::HealthCheckType::kTls);
  config.health_check->timeout = 20ms;
  const auto app = group(config);
  HealthChecker checker(options());
  ASSERT_TRUE(checker.watch({app}).has_value());
  EXPECT_EQ(changes_.next().value().why, "no answer in time");
}

}  // namespace
}  // namespace headgate
