#include "snapshot/worker_snapshot.h"

#include <algorithm>

namespace headgate {
namespace {

bool holds_rsa(const ListenerPolicy& policy) {
  return policy.tls && policy.tls->certificates->holds_rsa();
}

bool presents_rsa(const BackendPolicy& policy) {
  return policy.tls && policy.tls->certificate && is_rsa(policy.tls->certificate->key_type());
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

bool needs_offload(const Snapshot& snapshot) {
  return std::ranges::any_of(snapshot.listeners, [](const auto& policy) { return holds_rsa(*policy); }) ||
         std::ranges::any_of(snapshot.backends,
                             [](const auto& backend) { return presents_rsa(backend.second); });
}

Result<std::shared_ptr<WorkerSnapshot>> WorkerSnapshot::prepare(
    std::shared_ptr<const Snapshot> shared, int worker, const LibraryContext& library,
    const std::shared_ptr<const LibraryContext>& offload, MetricsRegistry& registry) {
  auto prepared = std::make_shared<WorkerSnapshot>();
  // Under FIPS a key may not be another provider's, so signatures stay on the loop.
  const std::shared_ptr<const LibraryContext> elsewhere = library.is_fips() ? nullptr : offload;
  for (const auto& policy : shared->listeners) {
    auto state = std::make_unique<ListenerState>();
    state->policy = policy;
    state->metrics = &registry.listener(worker, policy->config.name);
    const std::size_t contexts = policy->tls ? policy->tls->rules.size() : 0;
    for (std::size_t rules = 0; rules < contexts; ++rules) {
      auto context = ServerContext::make(library, elsewhere, policy->tls, *state->metrics, rules);
      if (!context) return tl::unexpected(std::move(context.error()));
      state->tls.push_back(*std::move(context));
    }
    prepared->listeners.push_back(std::move(state));
  }
  for (const auto& [name, policy] : shared->backends) {
    BackendState state;
    state.queue_metrics = &registry.backend(worker, name);
    for (const auto& server : policy.group->servers) {
      state.metrics.push_back(&registry.server(worker, name, server.config.address));
    }
    if (policy.tls) {
      auto context = ClientContext::make(library, elsewhere, policy.tls);
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
