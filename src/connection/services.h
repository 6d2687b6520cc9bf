#pragma once

#include <memory>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "connection/connection_info.h"
#include "connection/flight_recorder.h"
#include "connection/log_levels.h"
#include "connection/permits.h"
#include "event/loop.h"
#include "log/failure_limiter.h"
#include "log/log.h"
#include "net/address.h"
#include "net/buffers.h"
#include "net/stream.h"
#include "snapshot/worker_snapshot.h"

namespace headgate {

/// Where the steps of a handshake run.
enum class Drive : std::uint8_t { kOnLoop, kBesideLoop };

/// Makes streams: from sockets and OpenSSL in a worker, from a script in a test. Loop thread only.
class Transport {
 public:
  virtual ~Transport() = default;

  /// A plain stream that reads `received` first, then goes on as `plain`, which is used up.
  [[nodiscard]] virtual std::unique_ptr<Stream> unread(std::unique_ptr<Stream> plain,
                                                       std::vector<std::byte> received) = 0;
  /// Starts TLS with a client whose ClientHello has arrived: `received` holds it and all that came behind it.
  /// `plain` is used up. The result's handshake() is to be driven: on the loop, or beside it where `drive`
  /// says so. Errors: kSystem.
  [[nodiscard]] virtual Result<std::unique_ptr<Stream>> accept_tls(std::unique_ptr<Stream> plain,
                                                                   std::vector<std::byte> received,
                                                                   ListenerState& listener,
                                                                   const StoredCertificate& certificate,
                                                                   Drive drive) = 0;
  /// After handshake() said kDone: writes what TLS settled on into `facts`, and puts another stream in the
  /// place of `client` where the records are taken over from OpenSSL.
  virtual void finish_accept(std::unique_ptr<Stream>& client, ListenerState& listener,
                             ConnectionInfo& info) = 0;
  /// After handshake() said kFailed: writes failure, alert and detail into `facts`.
  virtual void explain_failure(const Stream& client, ConnectionInfo& info) = 0;
  /// Reads and drops what a client still sends, past TLS: kDone, kWantRead, kEnded or kFailed.
  [[nodiscard]] virtual IoStatus discard(Stream& client, std::span<std::byte> room) = 0;
  /// Before and after a step of the handshake that another thread drives.
  virtual void detach(Stream& client) = 0;
  virtual void attach(Stream& client) = 0;

  /// Begins to connect; handshake() of the result says when the connection is there. Errors: errno.
  [[nodiscard]] virtual tl::expected<std::unique_ptr<Stream>, int> dial(const Address& address) = 0;
  /// Starts TLS on a connection to `server`. Errors: kInvalid, kSystem.
  [[nodiscard]] virtual Result<std::unique_ptr<Stream>> connect_tls(std::unique_ptr<Stream> plain,
                                                                    BackendState& backend,
                                                                    const std::string& server,
                                                                    const ConnectionInfo& info) = 0;
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
  /// Runs a handshake step of `client` beside the loop, then gives it back by connection.step_finished(). If
  /// the connection is buried before, the stream is destroyed.
  virtual void run_beside(Connection& connection, std::unique_ptr<Stream> client) = 0;
  /// The client's certificate let it in: the connection is ended when that is no longer so.
  virtual void peer_let_in(Connection& connection) = 0;
};

/// All that a connection borrows from its worker, which outlives it.
struct Services {
  Loop& loop;
  Buffers& buffers;
  Transport& transport;
  Turns& turns;
  Host& host;
  Log& log;
  FailureLimiter& limiter;
  FlightRecorder& recorder;
  config::AccessLog access;
  LogLevels levels{};
};

}  // namespace headgate
