#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/secret_bytes.h"
#include "connection/handover_message.h"
#include "net/fd.h"
#include "snapshot/snapshot.h"
#include "worker/worker.h"

/// Moves live connections out of a worker to the next process, and into a worker from the process before. On
/// the worker's thread, between two steps of every connection, so that no byte is half way through.
namespace headgate {

/// A quiescent connection, as a message.
struct QuiescentConnection {
  std::uint64_t id = 0;
  SecretBytes message;
  std::array<int, 2> descriptors{-1,
                                 -1};  ///< Client, backend. The connection's own, open while it is quiescent.
};

/// The connections that move, and the number of those that cannot, by reason: "phase" (not in relay yet or
/// any more), "ending" (a direction has ended), "record_layer" (OpenSSL protects the client's records),
/// "backend_tls", "key_update" (one is half way).
struct QuiescentConnections {
  std::vector<QuiescentConnection> moving;
  std::map<std::string, std::uint64_t> left;
};

/// Quiesces every connection that can move.
[[nodiscard]] QuiescentConnections quiesce_all(Worker& worker);
/// Wakes the connections of `ids`, which go on as before.
void wake(Worker& worker, const std::set<std::uint64_t>& ids);
/// Wakes all quiescent connections.
void wake_all(Worker& worker);
/// Releases all quiescent connections, which live in the next process, and wipes their keys.
void release_quiescent(Worker& worker);

/// Whether `snapshot` can serve connections like this one. Any thread. Errors: kNotFound, which names the
/// missing part.
[[nodiscard]] Result<void> can_take_in(const Snapshot& snapshot, const HandoverConnection& connection);
/// Adds a connection that can_take_in() under the worker's snapshot. It is quiescent until wake_all().
void take_in(Worker& worker, HandoverConnection connection, Fd client, Fd backend);

}  // namespace headgate
