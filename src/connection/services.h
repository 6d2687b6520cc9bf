#pragma once

#include <memory>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "connection/connection_info.h"
#include "connection/flight_recorder.h"
#include "connection/log_levels.h"
#include "connection/permits.h"
#include "connection/unfinished_hellos.h"
#include "event/loop.h"
#include "log/failure_limiter.h"
#include "log/log.h"
#include "net/address.h"
#include "net/buffers.h"
#include "net/stream.h"
#include "net/transport.h"
#include "snapshot/worker_snapshot.h"
#include "tls/handshake/client_handshake.h"
#include "tls/handshake/server_handshake.h"

namespace headgate {

class Connection;

/// Begins TLS handshakes: with OpenSSL in a worker, from a script in a test. Loop thread only.
class Handshakes {
 public:
  virtual ~Handshakes() = default;
  /// With a client whose ClientHello has arrived, on its plain stream, which is used up.
  [[nodiscard]] virtual std::unique_ptr<ServerHandshake> accept(std::unique_ptr<Stream> plain,
                                                                HandshakeStart start) = 0;
  /// With a server, on the plain stream to it, which is used up. Errors: kInvalid, kSystem.
  [[nodiscard]] virtual Result<std::unique_ptr<ClientHandshake>> connect(
      std::unique_ptr<Stream> plain, std::shared_ptr<ClientContext> context,
      const ServerRequest& request) = 0;
};

/// What else a worker does for its connections. Loop thread only.
class Host {
 public:
  virtual ~Host() = default;
  /// The monotonic clock; moved by hand in tests.
  [[nodiscard]] virtual TimePoint now() const = 0;
  /// Destroys the connection at the end of this turn of the loop. It has done all it had to do.
  virtual void bury(Connection& connection) = 0;
  /// Calls connection.resume() in the next turn of the loop: there is work that no descriptor announces.
  virtual void call_again(Connection& connection) = 0;
  /// Calls connection.flush_held_back() a few milliseconds from now.
  virtual void flush_soon(Connection& connection) = 0;
  /// Performs `operation` on another thread, then calls connection.operation_finished(), unless the
  /// connection is buried before.
  virtual void offload(Connection& connection, std::shared_ptr<PrivateKeyOperation> operation) = 0;
  /// The client's certificate let it in: the connection is ended when that is no longer so.
  virtual void peer_let_in(Connection& connection) = 0;
};

/// All that a connection borrows from its worker, which outlives it.
struct Services {
  Loop& loop;
  Buffers& buffers;
  Transport& transport;
  Handshakes& handshakes;
  Permits& permits;
  Host& host;
  Log& log;
  FailureLimiter& limiter;
  FlightRecorder& recorder;
  KnownTlsInfo& known_tls;
  UnfinishedHellos& unfinished;
  config::AccessLog access;
  LogLevels levels{};
};

}  // namespace headgate
