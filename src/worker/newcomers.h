#pragma once

#include <cstddef>
#include <vector>

#include "base/units.h"
#include "worker/acceptor.h"

namespace headgate {

class Connection;

/// Serves the clients that are not established yet, and accepts new ones, after the loop has served every
/// established connection. Both have a slice of a turn: what does not fit into the slice waits for the
/// next turn. So neither thousands of clients that send their ClientHello byte by byte, nor a full queue of
/// new connections at a listening socket, can delay an established connection by more than the slices.
///
/// A worker owns it, loop thread only.
class Newcomers {
 public:
  /// A bound on the time of each of the two kinds in one turn. A step of a newcomer takes some 5 us, and an
  /// accepted connection, whose ClientHello is read and parsed at once, some 30 us.
  static constexpr Duration kSlice = std::chrono::microseconds(100);

  /// Queues a connection whose client is ready; does nothing if it is queued.
  void push(Connection& connection);
  /// Takes a connection out that is about to be destroyed.
  void remove(Connection& connection);
  /// Queues a listening socket that has connections; does nothing if it is queued.
  void push(Acceptor& acceptor);
  /// Takes an acceptor out that is about to be destroyed.
  void remove(const Acceptor& acceptor);

  [[nodiscard]] bool empty() const { return ready_.empty() && sockets_.empty(); }
  /// Whether connections wait that no descriptor announces: then the loop must not sleep.
  [[nodiscard]] bool has_queued() const { return !ready_.empty(); }

  /// Serves one slice of each kind, and at least one of each.
  void serve(Duration slice = kSlice);

 private:
  void serve_ready(Duration slice);
  void accept(Duration slice);

  std::vector<Connection*> ready_;  // null: has left
  std::size_t paused_ = 0;          // so many at the front of ready_ are not watched
  std::vector<Acceptor*> sockets_;  // that the loop has found ready
  std::size_t first_socket_ = 0;    // has its turn first, so that no socket takes the slice each time
};

}  // namespace headgate
