#include "snapshot/snapshot.h"

namespace headgate {
namespace {

std::shared_ptr<const ListenerPolicy> build_listener(const config::Listener& config,
                                                     const ListenerPolicy* before,
                                                     const ChangedFiles* changed, WallTime now,
                                                     KeyLogs keylogs, Diagnostics& faults) {
  std::shared_ptr<const ListenerTls> tls;
  if (config.tls) {
    tls = ListenerTls::load(config, before != nullptr ? before->tls.get() : nullptr, changed, now, faults,
                            keylogs);
    if (!tls) return nullptr;
  }
  return std::make_shared<const ListenerPolicy>(ListenerPolicy{
      .config = config,
      .access = AccessRules(config.allow, config.deny),
      .probes = NetworkSet(config.probes),
      .proxies = NetworkSet(config.proxy_protocol ? config.proxy_protocol->from : std::vector<Network>()),
      .routes = RouteTable(config),
      .tls = std::move(tls),
      .counters = before != nullptr ? before->counters : std::make_shared<SharedCounters>()});
}

std::optional<BackendPolicy> build_backend(const config::Backend& config, ServerDirectory& directory,
                                           WallTime now, Diagnostics& faults) {
  auto group = BackendGroup::build(config, directory);
  if (!group) {
    faults.push_back({Severity::kError, "", group.error().what, "servers"});
    return std::nullopt;
  }
  BackendPolicy policy{.group = *std::move(group), .tls = nullptr};
  if (config.tls) {
    policy.tls = BackendTls::load(config, now, faults);
    if (!policy.tls) return std::nullopt;
  }
  return policy;
}

}  // namespace

std::shared_ptr<const Snapshot> Snapshot::build(const config::Config& config, const Snapshot* previous,
                                                const ChangedFiles* changed, ServerDirectory& directory,
                                                WallTime now, Diagnostics& faults, KeyLogs keylogs) {
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->generation = previous != nullptr ? previous->generation + 1 : 1;
  snapshot->config = config;
  bool whole = true;
  for (std::size_t i = 0; i < config.listeners.size(); ++i) {
    const config::Listener& listener = config.listeners[i];
    const ListenerPolicy* before = previous != nullptr ? previous->find_listener(listener.name) : nullptr;
    Diagnostics found;
    auto policy = build_listener(listener, before, changed, now, keylogs, found);
    add_below(faults, std::move(found), "listeners[" + std::to_string(i) + "]");
    whole = whole && policy != nullptr;
    snapshot->listeners.push_back(std::move(policy));
  }
  for (const auto& [name, backend] : config.backends) {
    Diagnostics found;
    auto policy = build_backend(backend, directory, now, found);
    add_below(faults, std::move(found), "backends." + name);
    whole = whole && policy.has_value();
    if (policy) snapshot->backends.emplace(name, *std::move(policy));
  }
  return whole ? snapshot : nullptr;
}

const ListenerPolicy* Snapshot::find_listener(std::string_view name) const {
  for (const auto& listener : listeners) {
    if (listener->config.name == name) return listener.get();
  }
  return nullptr;
}

}  // namespace headgate
