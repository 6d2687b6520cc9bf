#include "connection/place_wait.h"

namespace headgate {

PlaceWait::PlaceWait(Connection& connection, Host& host, BackendMetrics& metrics)
    : connection_(connection), host_(host), metrics_(metrics), began_(host.now()) {
  metrics_.queued.add();
}

std::unique_ptr<PlaceWait> PlaceWait::begin(Connection& connection, Host& host, const BackendState& backend,
                                            std::size_t places_to_come) {
  const BackendGroup& group = backend.picker->group();
  std::unique_ptr<PlaceWait> wait(new PlaceWait(connection, host, *backend.queue_metrics));
  wait->position_ =
      group.queue->join(group, group.config.queue.size + places_to_come, host.waker(connection));
  // After it has joined: a worker that sees that connections wait gives no spare a place.
  if (wait->position_ && backend.picker->places_of_spares() > 0) group.queue->ask_for_places_of_spares();
  if (wait->position_) return wait;
  wait->end_ = group.config.queue.size > 0 ? std::optional(QueueEnd::kFull) : std::nullopt;
  return nullptr;
}

PlaceWait::~PlaceWait() {
  metrics_.queued.sub();
  if (end_) metrics_.queue_ends[static_cast<std::size_t>(*end_)].add();
  if (end_ && *end_ != QueueEnd::kFull) metrics_.queue_duration.observe(host_.now() - began_);
  position_.reset();
  host_.forget_waker(connection_);
}

}  // namespace headgate
