#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "base/result.h"
#include "net/fd.h"

namespace headgate {

/// A thread of the supervisor's that waits in poll(2) for one slow thing: name lookups, or health checks. It
/// has a name and blocks every signal, so that signals stay with the thread that watches for them. The
/// destructor asks it to stop, wakes it and waits for it.
class ServiceThread {
 public:
  using Body = std::function<void(ServiceThread& self)>;

  /// Runs `body`, which returns soon after stopping() has become true. `name` is at most 15 characters.
  /// Errors: kSystem when no thread or descriptor can be made.
  [[nodiscard]] static Result<std::unique_ptr<ServiceThread>> start(const std::string& name, Body body);
  ~ServiceThread();
  ServiceThread(const ServiceThread&) = delete;
  ServiceThread& operator=(const ServiceThread&) = delete;

  /// Makes wake_descriptor() readable. Any thread.
  void wake();

  /// For the body: readable after wake(), until take_wake().
  [[nodiscard]] int wake_descriptor() const { return wake_.number(); }
  void take_wake();
  [[nodiscard]] bool stopping() const { return stopping_.load(std::memory_order_acquire); }

 private:
  explicit ServiceThread(Fd wake) : wake_(std::move(wake)) {}

  Fd wake_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;  // last: it uses the others
};

}  // namespace headgate
