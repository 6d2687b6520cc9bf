#pragma once

#include <cstddef>
#include <memory>
#include <optional>

#include "backend/place_queue.h"
#include "connection/services.h"
#include "metrics/worker_metrics.h"
#include "snapshot/worker_snapshot.h"

namespace headgate {

/// A connection's wait for a place at a server of its backend, while every server is at its max_connections.
/// It also asks for the places that spare connections of other workers have. The connection takes a step each
/// time it may be its turn. It is counted when it ends; where nothing else was said, the connection has left.
/// Loop thread only.
class PlaceWait {
 public:
  /// Beside those of the queue, one connection may wait for each of `places_to_come`. Null: as many wait
  /// already as may, which is counted where the backend has a queue. The connection and `backend` outlive it.
  [[nodiscard]] static std::unique_ptr<PlaceWait> begin(Connection& connection, Host& host,
                                                        const BackendState& backend,
                                                        std::size_t places_to_come);
  ~PlaceWait();
  PlaceWait(const PlaceWait&) = delete;
  PlaceWait& operator=(const PlaceWait&) = delete;

  /// Whether it is this connection's turn to look for a place, and that it has found none.
  [[nodiscard]] bool may_try() { return position_->may_try(); }
  void stays() { position_->stays(); }
  /// Says how the wait ends, which it does next.
  void ends(QueueEnd how) { end_ = how; }

 private:
  PlaceWait(Connection& connection, Host& host, BackendMetrics& metrics);

  Connection& connection_;
  Host& host_;
  BackendMetrics& metrics_;
  TimePoint began_;
  std::optional<QueueEnd> end_ = QueueEnd::kLeft;   // nothing: there was no wait, and no queue that is full
  std::unique_ptr<PlaceQueue::Position> position_;  // null until begin() has found room in the line
};

}  // namespace headgate
