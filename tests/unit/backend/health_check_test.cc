#include "backend/health_check.h"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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

/// A TLS stream whose peer never answers.
class SilentStream final : public Stream {
 public:
  explicit SilentStream(Fd fd) : fd_(std::move(fd)) {}
  int descriptor() const override { return fd_.number(); }
  IoStatus handshake() override { return IoStatus::kWantRead; }
  ReadResult read(std::span<std::byte>) override { return {}; }
  IoStatus write(std::span<const std::byte>) override { return IoStatus::kFailed; }
  IoStatus flush() override { return IoStatus::kDone; }
  std::size_t unsent_bytes() const override { return 0; }
  IoStatus end_writing() override { return IoStatus::kDone; }
  void reset_on_close() override {}
  const StreamFailure& failure() const override { return failure_; }

 private:
  Fd fd_;
  StreamFailure failure_;
};

class SilentTlsTest : public HealthCheckerTest {
 protected:
  Result<std::unique_ptr<Stream>> open_tls(Fd fd) override {
    return std::make_unique<SilentStream>(std::move(fd));
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
