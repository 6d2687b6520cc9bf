#include "worker/listener_places.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>
#include <variant>

#include "base/out_of_memory.h"
#include "worker/connection_walk.h"

namespace headgate {
namespace {

bool bounds_connections(const ListenerState* listener) {
  if (listener == nullptr) return false;
  const config::Limits& limits = listener->policy->config.limits;
  return limits.max_connections > 0 || limits.max_connections_per_source > 0;
}

/// Whether the source of a connection is known. Until then it has yet to ask for its place.
bool is_admitted(const Connection& connection) {
  return !std::holds_alternative<Accept>(connection.phase()) &&
         !std::holds_alternative<ProxyIn>(connection.phase());
}

}  // namespace

bool bounds_more_listeners(const WorkerSnapshot& now, const WorkerSnapshot* before) {
  return before != nullptr && std::ranges::any_of(now.listeners, [before](const auto& listener) {
           return bounds_connections(listener.get()) &&
                  !bounds_connections(before->find_listener(listener->policy->config.name));
         });
}

void count_for_listener(Connection& connection, const WorkerSnapshot& snapshot) {
  if (connection.has_place() || !is_admitted(connection)) return;
  const ListenerState* listener = snapshot.find_listener(connection.listener().policy->config.name);
  if (!bounds_connections(listener)) return;
  auto place =
      std::make_unique<ListenerPlace>(listener->policy->counters, connection.info().client.network());
  place->enter_beyond_limits();
  connection.take_place(std::move(place));
}

void count_for_listeners(Worker& worker) {
  const auto visit = [&worker](Connection& connection) {
    static_cast<void>(done_unless_out_of_memory([&] { count_for_listener(connection, *worker.snapshot()); }));
    return std::size_t{1};
  };
  ConnectionWalk::begin(worker, visit, [] {});
}

}  // namespace headgate
