#pragma once

#include <cstddef>
#include <functional>
#include <limits>
#include <memory>
#include <utility>

#include "connection/connection.h"
#include "worker/worker.h"

namespace headgate {

/// Looks at every connection of a worker in slices, one in each turn of the loop, so that a question about
/// all connections holds the loop no longer than kSliceCost allows, however many there are.
///
/// The walk looks once at a connection that is open from the first slice to the last, or twice where its
/// place in the worker's list changes meanwhile. It does not look at a connection that comes meanwhile. On
/// the worker's thread.
class ConnectionWalk {
 public:
  /// What a slice may cost: a look at a connection costs 1, and what the visitor says comes on top. A
  /// slice of looks takes about 0.15 ms.
  static constexpr std::size_t kSliceCost = 1024;

  /// Called for each connection that has not ended, which it may end. Returns what the visit cost in looks: 0
  /// for a comparison, kEndCost for an end, or kEnough where no further connection need be looked at.
  using Visit = std::function<std::size_t(Connection&)>;
  /// An end makes system calls, writes a log line and counts. So few connections end in one slice.
  static constexpr std::size_t kEndCost = 63;
  static constexpr std::size_t kEnough = std::numeric_limits<std::size_t>::max();

  /// Takes the first slice now and the others in later turns of the loop; calls `done` after the last one.
  /// Both functions own the objects that they use: if the worker ends before, `done` is never called.
  static void begin(Worker& worker, Visit visit, std::function<void()> done) {
    auto walk =
        std::make_shared<ConnectionWalk>(worker.connections().size(), std::move(visit), std::move(done));
    go_on(worker, std::move(walk));
  }

  ConnectionWalk(std::size_t connections, Visit visit, std::function<void()> done)
      : left_(connections), visit_(std::move(visit)), done_(std::move(done)) {}

 private:
  static void go_on(Worker& worker, std::shared_ptr<ConnectionWalk> walk);
  [[nodiscard]] bool slice_is_last(const Worker& worker);

  std::size_t left_;  // connections before this place have not been looked at
  Visit visit_;
  std::function<void()> done_;
};

}  // namespace headgate
