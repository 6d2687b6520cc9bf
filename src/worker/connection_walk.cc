#include "worker/connection_walk.h"

#include <algorithm>

namespace headgate {

void ConnectionWalk::go_on(Worker& worker, std::shared_ptr<ConnectionWalk> walk) {
  if (walk->slice_is_last(worker)) return walk->done_();
  worker.post([&worker, walk = std::move(walk)] { go_on(worker, walk); });
}

// The walk goes from the last place to the first: a connection that ends gives its place to the last one,
// which has been looked at, or has no place before it.
bool ConnectionWalk::slice_is_last(const Worker& worker) {
  const auto& connections = worker.connections();
  left_ = std::min(left_, connections.size());
  for (std::size_t cost = 0; left_ > 0 && cost < kSliceCost; ++cost) {
    Connection& connection = *connections[--left_];
    if (connection.is_buried()) continue;
    const std::size_t visit_cost = visit_(connection);
    if (visit_cost == kEnough) return true;
    cost += visit_cost;
  }
  return left_ == 0;
}

}  // namespace headgate
