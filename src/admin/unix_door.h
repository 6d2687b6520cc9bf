#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

#include "base/result.h"
#include "net/address.h"
#include "net/fd.h"

namespace headgate {

/// Lets clients of a unix socket reach an HTTP server that can only listen on TCP: relays each connection to
/// a port of 127.0.0.1. That port is open to every user of the machine while the socket's file is not, so the
/// server asks came_through() about each request and refuses the others.
///
/// It has one thread of its own. At most kMaxVisitors are inside at a time, each for at most kPatience; the
/// others wait in the backlog.
class UnixDoor {
 public:
  static constexpr std::size_t kMaxVisitors = 16;
  static constexpr std::chrono::seconds kPatience{30};

  /// Listens on `address`, and lets no client in yet. Errors: kSystem, with the path.
  [[nodiscard]] static Result<std::unique_ptr<UnixDoor>> open(const Address& address);
  ~UnixDoor();
  UnixDoor(const UnixDoor&) = delete;
  UnixDoor& operator=(const UnixDoor&) = delete;

  /// Starts to relay to `server_port`. Call it once.
  void serve(std::uint16_t server_port);

  /// Cuts all visitors and removes the socket's file. From then on came_through() is false; the server may go
  /// on asking.
  void close();

  /// Whether the loopback connection from `client_port` is one of the door's own. Any thread.
  [[nodiscard]] bool came_through(std::uint16_t client_port) const;

 private:
  struct Visitor;
  UnixDoor(Address address, Fd listening, Fd stop);

  void run();
  void relay_to_all();
  void admit();
  [[nodiscard]] Fd connect_to_server();

  Address address_;
  Fd listening_, stop_;
  std::uint16_t server_port_ = 0;
  mutable std::mutex mutex_;
  std::set<std::uint16_t> ports_;  // guarded by mutex_
  std::list<Visitor> visitors_;    // the thread's
  std::thread thread_;
};

}  // namespace headgate
