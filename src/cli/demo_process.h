#pragma once

#include <sys/types.h>

#include <string>
#include <utility>

#include "base/result.h"
#include "net/fd.h"

namespace headgate {

/// The demo's HTTP backend in a sandboxed process of its own: its threads may not run in the process of the
/// proxy, which enters the sandbox with a single thread. It ends when this object or its process goes.
class DemoProcess {
 public:
  /// Starts it. Before threads are started. Errors: kSystem.
  [[nodiscard]] static Result<DemoProcess> start();
  ~DemoProcess();
  DemoProcess(DemoProcess&& other) noexcept
      : line_(std::move(other.line_)),
        process_(std::exchange(other.process_, -1)),
        address_(std::move(other.address_)) {}
  DemoProcess(const DemoProcess&) = delete;
  DemoProcess& operator=(const DemoProcess&) = delete;

  /// The backend's address, Address::text().
  [[nodiscard]] const std::string& address() const { return address_; }

 private:
  DemoProcess(Fd line, pid_t process, std::string address)
      : line_(std::move(line)), process_(process), address_(std::move(address)) {}

  Fd line_;  // the process reads its other end, and ends when this one is closed
  pid_t process_;
  std::string address_;
};

}  // namespace headgate
