#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "connection/connection_info.h"
#include "connection/flight_recorder.h"
#include "connection/log_levels.h"
#include "connection/permits.h"
#include "connection/spares.h"
#include "connection/unfinished_hellos.h"
#include "event/loop.h"
#include "log/failure_limiter.h"
#include "log/log.h"
#include "net/address.h"
#include "net/buffers.h"
#include "net/pipe.h"
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
  /// Begins one with a client whose ClientHello has arrived. It uses up the client's plain stream.
  [[nodiscard]] virtual std::unique_ptr<ServerHandshake> accept(std::unique_ptr<Stream> plain,
                                                                HandshakeStart start) = 0;
  /// Begins one with a server. It uses up the plain stream to the server. Errors: kInvalid, kSystem.
  [[nodiscard]] virtual Result<std::unique_ptr<ClientHandshake>> connect(
      std::unique_ptr<Stream> plain, std::shared_ptr<ClientContext> context,
      const ServerRequest& request) = 0;
};

/// The other services of a worker for its connections. Loop thread only.
class Host {
 public:
  virtual ~Host() = default;
  /// Returns the time of the monotonic clock; tests move it by hand.
  [[nodiscard]] virtual TimePoint now() const = 0;
  /// Destroys the connection at the end of this turn of the loop. The connection has nothing left to do.
  virtual void bury(Connection& connection) = 0;
  /// Calls connection.resume() in the next turn of the loop, because work is left that no descriptor
  /// announces.
  virtual void call_again(Connection& connection) = 0;
  /// Calls connection.take_turn() in this turn of the loop, after all established connections have been
  /// served, or in one of the next turns: many clients that are not established yet may be ready at once.
  virtual void call_in_turn(Connection& connection) = 0;
  /// Calls connection.flush_held_back() a few milliseconds from now.
  virtual void flush_soon(Connection& connection) = 0;
  /// Performs `operation` on another thread, then calls connection.operation_finished(), unless the
  /// connection is buried before.
  virtual void offload(Connection& connection, std::shared_ptr<PrivateKeyOperation> operation) = 0;
  /// Returns a function that makes the connection take a step, soon and on its loop, until forget_waker() or
  /// the connection's end. Any thread may call that function, as long as the worker lives.
  [[nodiscard]] virtual std::function<void()> waker(Connection& connection) = 0;
  virtual void forget_waker(Connection& connection) = 0;
  /// The rules with which the connection began have let its client in. Watches the client's certificate, if
  /// it has one: the connection is ended when the rules in force let the client in no more.
  virtual void client_let_in(Connection& connection) = 0;
};

/// The objects that a connection borrows from its worker, which outlives it.
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
  Spares& spares;
  PipePool& pipes;
  config::AccessLog access;
  LogLevels levels{};
};

/// Descriptors have run out: closes those that no connection needs. Returns whether there were any.
inline bool give_up_descriptors(Services& services) {
  const bool any_pipe = services.pipes.give_up_descriptors();
  return services.spares.give_up_descriptors() || any_pipe;
}

}  // namespace headgate
