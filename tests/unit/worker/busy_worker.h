#pragma once

#include <fcntl.h>

#include <future>
#include <memory>
#include <string>
#include <utility>

#include "net/fd.h"
#include "tls/certificate/self_signed.h"
#include "worker/worker.h"

namespace headgate::test {

/// A worker with its thread, and as many connections as a test wants: they belong to the listener "web", are
/// in the accept phase, and have no socket.
class BusyWorker {
 public:
  explicit BusyWorker(int index = 0) : worker_(*Worker::make({.index = index}, *log_, metrics_)) {
    config::Config config;
    config::Listener web;
    web.name = "web";
    web.backend = "app";
    config.listeners.push_back(std::move(web));
    config.backends["app"].name = "app";
    config.backends["app"].servers.resize(1);
    config.backends["app"].servers[0].address = "127.0.0.1:1001";
    Diagnostics faults;
    auto shared = Snapshot::build(config, {}, directory_, std::chrono::system_clock::now(), faults);
    auto snapshot = *WorkerSnapshot::prepare(std::move(shared), index, worker_->library(), nullptr, metrics_);
    worker_->post([this, snapshot] { worker_->adopt(snapshot, config::AccessLog::kOff); });
    EXPECT_TRUE(worker_->start());
  }

  [[nodiscard]] Worker& worker() { return *worker_; }

  /// Runs `work` on the worker's thread and waits for it.
  void run(const std::function<void(Worker&)>& work) {
    std::promise<void> done;
    worker_->post([&] {
      work(*worker_);
      done.set_value();
    });
    done.get_future().wait();
  }

  void add_connections(std::size_t count, const std::string& source = "192.0.2.7:4711") {
    run([&](Worker& worker) {
      for (std::size_t i = 0; i < count; ++i) {
        ConnectionInfo info;
        info.id = worker.new_connection_id();
        info.client = SourceAddress(*Address::parse(source));
        info.accepted = Clock::now();
        ListenerState& listener = *worker.snapshot()->listeners.front();
        worker.add(std::make_unique<Connection>(worker.services(), worker.snapshot(), listener, nullptr,
                                                std::move(info)));
      }
    });
  }

 private:
  Fd nowhere_{::open("/dev/null", O_WRONLY | O_CLOEXEC)};
  std::unique_ptr<Log> log_ =
      *Log::open({.level = LogLevel::kError, .format = LogFormat::kText, .fd = nowhere_.number()});
  MetricsRegistry metrics_;
  ServerDirectory directory_;
  std::unique_ptr<Worker> worker_;
};

}  // namespace headgate::test
