#pragma once

#include <chrono>
#include <cstddef>
#include <memory>

#include "admin/admin_source.h"
#include "admin/endpoints.h"
#include "base/result.h"
#include "net/address.h"
#include "net/fd.h"

namespace headgate {

/// The HTTP server of the admin address, on a TCP port or a unix socket. Its threads ask `source`, which
/// outlives it; destroying the server waits for them.
///
/// It answers one request a connection. One thread serves all connections and never waits for an answer; the
/// answers are made by threads of their own, those of probes by one that does nothing else. Visits bounds the
/// number, the time and the memory of connections.
class AdminServer {
 public:
  static constexpr std::size_t kMaxHeadBytes = std::size_t{16} * 1024;
  static constexpr std::size_t kMaxBodyBytes = std::size_t{64} * 1024;
  /// How long clients that are there at the end may still ask and take answers.
  static constexpr std::chrono::milliseconds kTimeToLeave{250};

  /// Opens a socket that listens on `bind`: an IP address and port (0: any free one) or a unix socket, which
  /// only the file's owner and group may use. No other process can listen there at the same time. Errors:
  /// kSystem; the text has the key, the address, the cause, and the remedy.
  [[nodiscard]] static Result<Fd> listen(const Address& bind, AdminOffer offer = AdminOffer::kAll);
  /// Serves the clients of `listening`. Errors: kSystem.
  [[nodiscard]] static Result<std::unique_ptr<AdminServer>> open(Fd listening, AdminSource& source,
                                                                 AdminOffer offer = AdminOffer::kAll);
  ~AdminServer();
  AdminServer(const AdminServer&) = delete;
  AdminServer& operator=(const AdminServer&) = delete;

  /// The address on which it listens, with the real port.
  [[nodiscard]] const Address& bound_address() const;
  /// Owned by the server.
  [[nodiscard]] const Fd& listening() const;

 private:
  class Server;
  explicit AdminServer(std::unique_ptr<Server> server);

  std::unique_ptr<Server> server_;
};

}  // namespace headgate
