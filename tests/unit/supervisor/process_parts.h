#pragma once

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "net/socket.h"
#include "supervisor/reloader.h"

namespace headgate {

inline constexpr std::chrono::seconds kDeadline{20};

/// Turns `loop` until `condition` holds. Fails at the deadline.
template <class Condition>
void turn_until(Loop& loop, const Condition& condition) {
  const TimePoint until = Clock::now() + kDeadline;
  while (!condition() && Clock::now() < until) {
    loop.run_once();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_TRUE(condition()) << "it never came";
}

/// A worker that is kept busy until this object ends: it hangs for every caller that asks it a question.
class Hang {
 public:
  explicit Hang(Worker& worker) : end_(std::make_shared<std::promise<void>>()) {
    auto begun = std::make_shared<std::promise<void>>();
    auto has_begun = begun->get_future();
    worker.post([begun, over = end_->get_future().share()] {
      begun->set_value();
      over.wait();
    });
    has_begun.wait();
  }
  ~Hang() { end_->set_value(); }
  Hang(const Hang&) = delete;
  Hang& operator=(const Hang&) = delete;

 private:
  std::shared_ptr<std::promise<void>> end_;
};

/// A configuration of a listener `web`, in plaintext before the backend `app`.
inline config::Config plain_config(const Address& backend, int workers = 2) {
  config::Config config;
  config.workers = workers;
  config.log.access = config::AccessLog::kFailures;
  config.listeners.emplace_back();
  config.listeners.front().name = "web";
  config.listeners.front().bind = {{.address = Address::loopback(0)}};
  config.listeners.front().backend = "app";
  config.backends["app"].name = "app";
  config.backends["app"].servers = {{.address = backend.text()}};
  return config;
}

/// A connected pair of sockets that a test reads and writes, with a deadline.
class Talk {
 public:
  explicit Talk(Fd fd) : fd_(std::move(fd)) {}
  static Talk to(const Address& address) {
    Fd fd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(fd.number(), address.data(), address.size_bytes()), 0);
    return Talk(std::move(fd));
  }
  void say(const std::string& text) const {
    EXPECT_EQ(::send(fd_.number(), text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }
  /// Returns the next bytes; empty: the end.
  [[nodiscard]] std::string hear() const {
    pollfd readable{fd_.number(), POLLIN, 0};
    EXPECT_EQ(::poll(&readable, 1, 20'000), 1);
    std::array<char, 100> room{};
    const ssize_t size = ::recv(fd_.number(), room.data(), room.size(), 0);
    return size > 0 ? std::string(room.data(), static_cast<std::size_t>(size)) : std::string();
  }

 private:
  Fd fd_;
};

/// A backend that the test plays: the test accepts its connections and writes its answers.
class TestBackend {
 public:
  TestBackend() : socket_(*listen_on(Address::loopback(0), {})) {}
  [[nodiscard]] Address address() const { return local_address(socket_.number()); }
  [[nodiscard]] Talk accept() const {
    pollfd readable{socket_.number(), POLLIN, 0};
    EXPECT_EQ(::poll(&readable, 1, 20'000), 1);
    return Talk(Fd(::accept4(socket_.number(), nullptr, nullptr, SOCK_CLOEXEC)));
  }

 private:
  Fd socket_;
};

/// The parts of a process, without the process: no signals, no privileges, real workers. The test's thread is
/// the main thread.
struct ProcessParts {
  explicit ProcessParts(config::Config first) : configuration(std::move(first)) {}

  [[nodiscard]] Reloader::Parts reloader_parts() {
    return {inbox, *log, board, registry, directory, sockets, workers};
  }
  [[nodiscard]] config::Loaded load() {
    const std::lock_guard lock(mutex);
    config::Loaded loaded;
    loaded.config = configuration;
    loaded.faults = faults;
    return loaded;
  }
  void set_configuration(config::Config next, std::vector<config::Fault> wrong = {}) {
    const std::lock_guard lock(mutex);
    configuration = std::move(next);
    faults = std::move(wrong);
  }

  std::mutex mutex;
  config::Config configuration;
  std::vector<config::Fault> faults;
  std::unique_ptr<Log> log = *Log::open({.level = LogLevel::kError});
  MetricsRegistry registry;
  StateBoard board;
  ServerDirectory directory;
  Loop loop;
  Inbox inbox{loop};
  ListeningSockets sockets{{}};
  Workers workers{loop, inbox, *log, registry};
};

}  // namespace headgate
