#pragma once

#include <chrono>
#include <memory>

#include "admin/admin_source.h"
#include "base/result.h"
#include "net/address.h"

namespace headgate {

/// The HTTP server of the admin address. Its threads ask `source`, which outlives it; destroying the server
/// waits for them.
///
/// It answers one request a connection. A slow client holds one of kThreads threads for at most kPatience.
class AdminServer {
 public:
  static constexpr int kThreads = 4;
  static constexpr std::chrono::milliseconds kPatience{5000};

  /// Listens on `bind`: an IP address and port (0: any free one) or a unix socket.
  /// Errors: kSystem; the text has the address, the cause, and the remedy.
  [[nodiscard]] static Result<std::unique_ptr<AdminServer>> open(const Address& bind, AdminSource& source);
  ~AdminServer();
  AdminServer(const AdminServer&) = delete;
  AdminServer& operator=(const AdminServer&) = delete;

  /// The address on which it listens, with the real port.
  [[nodiscard]] const Address& bound_address() const { return bound_; }

 private:
  class Server;
  AdminServer(std::unique_ptr<Server> server, Address bound);

  std::unique_ptr<Server> server_;
  Address bound_;
};

}  // namespace headgate
