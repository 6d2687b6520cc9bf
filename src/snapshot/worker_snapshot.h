#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "backend/group.h"
#include "metrics/worker_metrics.h"
#include "snapshot/snapshot.h"
#include "tls/handshake/client_context.h"
#include "tls/handshake/server_context.h"
#include "tls/library/library_context.h"

namespace headgate {

/// Remembers the counter of each combination by the addresses of its words, which are constants of OpenSSL
/// and ours.
class NegotiatedCache {
 public:
  /// The counter in `counters` of these words.
  [[nodiscard]] Counter& of(NegotiatedCounters& counters, std::string_view version, std::string_view group,
                            std::string_view cipher, std::string_view key_type);

 private:
  struct Known {
    std::array<const char*, 4> words;
    Counter* counter;
  };
  std::vector<Known> known_;
};

/// One worker's part of one listener: its OpenSSL context and its counters. Loop thread of that worker.
struct ListenerState {
  std::shared_ptr<const ListenerPolicy> policy;
  ListenerMetrics* metrics = nullptr;  ///< Of the registry, which outlives every snapshot.
  /// By the listener's rules for clients, in their order; empty: plaintext in. Each handshake shares its own.
  std::vector<std::shared_ptr<ServerContext>> tls;
  /// The counters of what was negotiated so far, found again without building their key.
  NegotiatedCache negotiated;

  /// The context for clients that ask for this name, or for none. The listener has TLS.
  [[nodiscard]] const std::shared_ptr<ServerContext>& tls_for(std::string_view server_name) const {
    return tls[policy->tls->index_for(server_name)];
  }
};

/// One worker's part of one backend. Loop thread of that worker.
struct BackendState {
  std::unique_ptr<GroupPicker> picker;
  std::shared_ptr<ClientContext> tls;   ///< nullptr: plaintext to the servers. Each connection shares it.
  std::vector<ServerMetrics*> metrics;  ///< In the order of the group's servers.
  BackendMetrics* queue_metrics = nullptr;
};

/// Whether a key of `snapshot` takes longer for a signature than a loop can spare: RSA-2048 takes 0.7 ms,
/// RSA-4096 5 ms, where P-256 takes 20 us. Then each worker uses such keys on its other thread.
[[nodiscard]] bool needs_offload(const Snapshot& snapshot);

/// A snapshot as one worker uses it. Prepared off the loops by the supervisor, then owned by the worker and
/// by each connection that began with it: it is freed when the last of them ends.
struct WorkerSnapshot {
  std::shared_ptr<const Snapshot> shared;
  std::vector<std::unique_ptr<ListenerState>> listeners;  ///< In the order of the snapshot's.
  std::map<std::string, BackendState, std::less<>> backends;

  /// `library` is the worker's; `offload` is that of its other thread, nullptr where needs_offload() says no.
  /// Makes everything but what the snapshot before has experienced of its servers: adopt() takes that over.
  /// Errors: kInvalid.
  [[nodiscard]] static Result<std::shared_ptr<WorkerSnapshot>> prepare(
      std::shared_ptr<const Snapshot> shared, int worker, const LibraryContext& library,
      const std::shared_ptr<const LibraryContext>& offload, MetricsRegistry& registry);
  /// Makes the pickers, with what `previous` (or nullptr) knows. On the worker's loop, before the first
  /// connection.
  void adopt(const WorkerSnapshot* previous, std::uint64_t seed);

  [[nodiscard]] ListenerState* find_listener(std::string_view name) const;
};

}  // namespace headgate
