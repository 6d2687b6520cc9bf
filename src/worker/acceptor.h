#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "event/io_watcher.h"
#include "event/timer.h"
#include "log/log.h"
#include "net/address.h"
#include "net/fd.h"

namespace headgate {

/// Accepts on one listening socket of one worker: says when connections wait, and accepts them when asked.
///
/// When descriptors run out, it asks its owner for one. If there is none, it closes a spare one to accept and
/// refuse one connection, and accepting pauses for a moment: the loop does not spin, and clients hear at
/// once. Loop thread only.
class Acceptor {
 public:
  /// Says that connections wait: the owner calls accept_some() in this turn of the loop or a later one.
  using Waiting = std::function<void(Acceptor& acceptor)>;
  /// Takes an accepted connection.
  using Accepted = std::function<void(Fd client, const Address& source)>;
  /// Says that descriptors ran out. `refused` says whether the acceptor refused a connection with the spare
  /// one.
  using OutOfDescriptors = std::function<void(bool refused)>;
  /// Gives up descriptors that a client needs more. Returns whether there were any.
  using MakeRoom = std::function<bool()>;

  /// `socket` is listening and non-blocking.
  Acceptor(Loop& loop, Fd socket, Waiting waiting, Accepted accepted, OutOfDescriptors out_of_descriptors,
           MakeRoom make_room);
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  /// Accepts one connection, and more until `end`.
  void accept_some(TimePoint end);
  /// Accepts the connections that wait, until `end`: the kernel resets them when the socket is closed.
  void accept_waiting(TimePoint end);

 private:
  /// kGoOn: it accepted a connection, or the next try may.
  enum class Next : std::uint8_t { kGoOn, kNoneWaits, kShortage };
  Next accept_next();
  static void ready(void* self, Interest interest);
  static void pause_over(void* self);
  void refuse_one();

  Fd socket_;
  Fd spare_;  // closed for a moment when no other descriptor is left
  Waiting waiting_;
  Accepted accepted_;
  OutOfDescriptors out_of_descriptors_;
  MakeRoom make_room_;
  int budget_ =
      1;  // accepts in one turn: grows while connections wait, so that a quiet socket is not asked twice
  IoWatcher watcher_;
  Timer pause_;
};

}  // namespace headgate
