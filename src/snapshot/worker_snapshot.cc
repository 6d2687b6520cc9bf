#include "snapshot/worker_snapshot.h"

#include <algorithm>

namespace headgate {
namespace {

bool needs_thread_beside(const ListenerPolicy& policy) {
  return policy.tls && policy.tls->certificates->holds_rsa();
}

// Counters of the thread beside worker n: they add up with the others of the listener.
int beside_index(int worker) {
  return -1 - worker;
}

}  // namespace

Counter& NegotiatedCache::of(NegotiatedCounters& counters, std::string_view version, std::string_view group,
                             std::string_view cipher, std::string_view key_type) {
  const std::array<const char*, 4> words{version.data(), group.data(), cipher.data(), key_type.data()};
  for (const Known& known : known_) {
    if (known.words == words) return *known.counter;
  }
  Counter& counter =
      counters.of({std::string(version), std::string(group), std::string(cipher), std::string(key_type)});
  known_.push_back({words, &counter});
  return counter;
}

bool signs_slowly(const StoredCertificate& certificate) {
  return is_rsa(certificate.key_type());
}

bool needs_thread_beside(const Snapshot& snapshot) {
  return std::any_of(snapshot.listeners.begin(), snapshot.listeners.end(),
                     [](const auto& policy) { return needs_thread_beside(*policy); });
}

Result<std::shared_ptr<WorkerSnapshot>> WorkerSnapshot::prepare(std::shared_ptr<const Snapshot> shared,
                                                                int worker, const LibraryContext& library,
                                                                const LibraryContext* beside,
                                                                MetricsRegistry& registry) {
  auto prepared = std::make_shared<WorkerSnapshot>();
  for (const auto& policy : shared->listeners) {
    auto state = std::make_unique<ListenerState>();
    state->policy = policy;
    state->metrics = &registry.listener(worker, policy->config.name);
    if (policy->tls) {
      auto context = ServerContext::make(library, policy->tls, *state->metrics);
      if (!context) return tl::unexpected(std::move(context.error()));
      state->tls = *std::move(context);
      if (beside != nullptr && needs_thread_beside(*policy)) {
        ListenerMetrics& metrics = registry.listener(beside_index(worker), policy->config.name);
        auto other = ServerContext::make(*beside, policy->tls, metrics);
        if (!other) return tl::unexpected(std::move(other.error()));
        state->tls_beside = *std::move(other);
      }
    }
    prepared->listeners.push_back(std::move(state));
  }
  for (const auto& [name, policy] : shared->backends) {
    BackendState state;
    for (const auto& server : policy.group->servers) {
      state.metrics.push_back(&registry.server(worker, name, server.config.address));
    }
    if (policy.tls) {
      auto context = ClientContext::make(library, policy.tls);
      if (!context) return tl::unexpected(std::move(context.error()));
      state.tls = *std::move(context);
    }
    prepared->backends.emplace(name, std::move(state));
  }
  prepared->shared = std::move(shared);
  return prepared;
}

void WorkerSnapshot::adopt(const WorkerSnapshot* previous, std::uint64_t seed) {
  for (auto& [name, state] : backends) {
    const GroupPicker* before = nullptr;
    if (previous != nullptr) {
      const auto found = previous->backends.find(name);
      if (found != previous->backends.end()) before = found->second.picker.get();
    }
    state.picker = std::make_unique<GroupPicker>(shared->backends.at(name).group, before, seed);
  }
}

ListenerState* WorkerSnapshot::find_listener(std::string_view name) const {
  for (const auto& listener : listeners) {
    if (listener->policy->config.name == name) return listener.get();
  }
  return nullptr;
}

}  // namespace headgate
