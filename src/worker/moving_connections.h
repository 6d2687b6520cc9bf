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

/// How live connections leave a worker for the next process, and how they come into one from the process
/// before. On the worker's thread, between two steps of every connection, so no byte is half way through.
namespace headgate {

/// A connection that rests, as a message.
struct RestingConnection {
  std::uint64_t id = 0;
  SecretBytes message;
  std::array<int, 2> descriptors{-1, -1};  ///< Client, backend. The connection's own, open while it rests.
};

/// What rests, and how many cannot move, by reason: "phase" (not in relay yet or any more), "ending" (a
/// direction has ended), "record_layer" (the client's TLS is OpenSSL's), "backend_tls", "key_update" (one is
/// half way).
struct Resting {
  std::vector<RestingConnection> moving;
  std::map<std::string, std::uint64_t> left;
};

/// Lets every connection rest that can move.
[[nodiscard]] Resting rest_all(Worker& worker);
/// Wakes those of `ids`, as if nothing had been.
void wake(Worker& worker, const std::set<std::uint64_t>& ids);
/// Wakes all that rest.
void wake_all(Worker& worker);
/// Lets go of all that rest: they live in the next process. Wipes their keys.
void release_quiescent(Worker& worker);

/// Whether connections like this one can be served under `snapshot`. Any thread. Errors: kNotFound, with what
/// is missing.
[[nodiscard]] Result<void> can_take_in(const Snapshot& snapshot, const HandoverConnection& connection);
/// Adds a connection that can_take_in() under the worker's snapshot. It rests until wake_all().
void take_in(Worker& worker, HandoverConnection connection, Fd client, Fd backend);

}  // namespace headgate
