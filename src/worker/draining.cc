#include "worker/draining.h"

#include <algorithm>
#include <utility>

namespace headgate {
namespace {

// A connection that has moved nothing for this long is between two requests.
constexpr Duration kQuiet = std::chrono::milliseconds(250);

bool matches(const Connection& connection, const DrainScope& scope) {
  const ConnectionInfo& info = connection.info();
  if (!scope.listener.empty() && connection.listener().policy->config.name != scope.listener) return false;
  if (!scope.backend.empty() && info.backend.view() != scope.backend) return false;
  return scope.peer.empty() || (info.peer && info.peer->short_name() == scope.peer);
}

bool is_quiet(const Connection& connection, TimePoint now) {
  const auto* relay = std::get_if<Relay>(&connection.phase());
  return relay != nullptr && relay->last_byte <= now - kQuiet;
}

std::uint64_t bytes_of(const Connection& connection) {
  return connection.info().bytes_from_client + connection.info().bytes_to_client;
}

/// Collects the living connections of `drain` before any of them is touched.
std::vector<Connection*> draining(Worker& worker, std::uint32_t drain) {
  std::vector<Connection*> all;
  for (const auto& connection : worker.connections()) {
    if (connection->drain_number == drain && !connection->is_buried()) all.push_back(connection.get());
  }
  return all;
}

}  // namespace

std::uint64_t begin_drain(Worker& worker, std::uint32_t drain, const DrainScope& scope) {
  std::uint64_t count = 0;
  for (const auto& connection : worker.connections()) {
    if (connection->is_buried() || !matches(*connection, scope)) continue;
    connection->drain_bytes_told = bytes_of(*connection);
    connection->drain_number = drain;
    ++count;
  }
  return count;
}

DrainProgress continue_drain(Worker& worker, std::uint32_t drain, std::uint64_t keep) {
  const TimePoint now = Clock::now();
  const std::vector<Connection*> all = draining(worker, drain);
  DrainProgress progress{.remaining = all.size()};
  for (Connection* connection : all) {
    const std::uint64_t bytes = bytes_of(*connection);
    progress.bytes += bytes - std::exchange(connection->drain_bytes_told, bytes);
    if (progress.remaining > keep && is_quiet(*connection, now)) {
      connection->end(CloseReason::kDrained);
      if (connection->is_buried()) --progress.remaining;
    } else {
      progress.oldest = std::max(progress.oldest, now - connection->info().accepted);
    }
  }
  return progress;
}

void finish_drain(Worker& worker, std::uint32_t drain) {
  for (Connection* connection : draining(worker, drain)) connection->end(CloseReason::kDrained);
}

}  // namespace headgate
