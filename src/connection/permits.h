#pragma once

#include <cstdint>

#include "base/units.h"

namespace headgate {

class Connection;

/// What a handshake's next step costs, the cheapest first: the order in which turns are given.
enum class Work : std::uint8_t {
  kResumed,  ///< The client offers a session: no signature, if it is accepted.
  kFull,     ///< A signature and a key exchange.
};

/// A handshake's place in the admission queue. A node of the queue's lists, so it neither moves nor dies
/// while queued: whoever destroys it withdraws it first. Loop thread only.
struct Turn {
  Connection* owner = nullptr;
  Work work = Work::kFull;
  bool beside_the_loop = false;  ///< The step is too long for the loop: it runs on the worker's other thread.
  bool granted = false;
  bool queued = false;
  TimePoint asked{};       ///< When it was queued.
  Turn* before = nullptr;  ///< Its neighbours in the queue.
  Turn* behind = nullptr;
};

/// Gives out the CPU time for handshakes; the worker's admission queue.
class Turns {
 public:
  virtual ~Turns() = default;
  /// Queues `turn`. Later either its owner's turn_granted() is called, or its turn_refused(). Never from
  /// within this call.
  virtual void request(Turn& turn) = 0;
  /// Leaves the queue; nothing happens if it is not in it.
  virtual void withdraw(Turn& turn) = 0;

  /// A handshake begins. When that makes more than `most` on this worker, the one that began first is ended:
  /// nobody holds a place by doing nothing.
  virtual void begin(Connection& connection, std::uint32_t most) = 0;
  /// It is over, well or not.
  virtual void over(Connection& connection) = 0;
};

/// A connection's stay in the handshake: leaves queue and count when destroyed. Neither copied nor moved.
class TurnHolder {
 public:
  TurnHolder(Turns& turns, Connection& connection, std::uint32_t most) : turns_(turns) {
    turn.owner = &connection;
    turns_.begin(connection, most);
  }
  ~TurnHolder() {
    turns_.withdraw(turn);
    turns_.over(*turn.owner);
  }
  TurnHolder(const TurnHolder&) = delete;
  TurnHolder& operator=(const TurnHolder&) = delete;

  Turn turn;

 private:
  Turns& turns_;
};

}  // namespace headgate
