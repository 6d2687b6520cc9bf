#include "snapshot/snapshot.h"

#include <algorithm>

namespace headgate {
namespace {

/// Whether a connection of `listener` may go to a backend that is sent the client's certificate.
bool sends_client_certificates(const config::Listener& listener, const config::Config& config) {
  const auto wants = [&](const std::string& name) {
    const auto backend = config.backends.find(name);
    return backend != config.backends.end() && backend->second.send_client_certificate;
  };
  return wants(listener.backend) || std::ranges::any_of(listener.routes, [&](const config::Route& route) {
           return wants(route.backend);
         });
}

const CertificateStore* in_use_by(const LoadedBefore& before, const std::string& listener) {
  if (before.in_use == nullptr) return nullptr;
  const auto found = before.in_use->find(listener);
  return found == before.in_use->end() ? nullptr : found->second.get();
}

/// The object of the listener before, a new one where it had none, or none where it is not `wanted`.
template <class Object>
std::shared_ptr<Object> kept_or_new(const ListenerPolicy* before,
                                    std::shared_ptr<Object> ListenerPolicy::* member, bool wanted) {
  if (!wanted) return nullptr;
  if (before != nullptr && before->*member != nullptr) return before->*member;
  return std::make_shared<Object>();
}

std::shared_ptr<const ListenerPolicy> build_listener(const config::Listener& config,
                                                     const config::Config& whole, const LoadedBefore& loaded,
                                                     WallTime now, KeyLogs keylogs, Diagnostics& faults) {
  const ListenerPolicy* before =
      loaded.snapshot != nullptr ? loaded.snapshot->find_listener(config.name) : nullptr;
  std::shared_ptr<const ListenerTls> tls;
  if (config.tls) {
    tls = ListenerTls::load(config, before != nullptr ? before->tls.get() : nullptr, loaded.changed, now,
                            faults, keylogs, in_use_by(loaded, config.name));
    if (!tls) return nullptr;
  }
  return std::make_shared<const ListenerPolicy>(ListenerPolicy{
      .config = config,
      .access = AccessRules(config.allow, config.deny),
      .probes = NetworkSet(config.probes),
      .proxies = NetworkSet(config.proxy_protocol ? config.proxy_protocol->from : std::vector<Network>()),
      .routes = RouteTable(config),
      .tls = std::move(tls),
      .counters = kept_or_new(before, &ListenerPolicy::counters, true),
      .source_paces =
          kept_or_new(before, &ListenerPolicy::source_paces, config.limits.connection_rate_per_source > 0),
      .penalties = kept_or_new(before, &ListenerPolicy::penalties, config.limits.penalty.failures > 0),
      .keeps_client_certificate = sends_client_certificates(config, whole)});
}

std::optional<BackendPolicy> build_backend(const config::Backend& config, ServerDirectory& directory,
                                           const BackendTls* before, WallTime now, Diagnostics& faults) {
  auto group = BackendGroup::build(config, directory);
  if (!group) {
    faults.push_back({Severity::kError, "", group.error().what, "servers"});
    return std::nullopt;
  }
  BackendPolicy policy{.group = *std::move(group), .tls = nullptr};
  if (config.tls) {
    policy.tls = BackendTls::load(config, before, now, faults);
    if (!policy.tls) return std::nullopt;
  }
  return policy;
}

const BackendTls* tls_before(const Snapshot* previous, const std::string& backend) {
  if (previous == nullptr) return nullptr;
  const auto found = previous->backends.find(backend);
  return found == previous->backends.end() ? nullptr : found->second.tls.get();
}

}  // namespace

std::shared_ptr<const Snapshot> Snapshot::build(const config::Config& config, const LoadedBefore& before,
                                                ServerDirectory& directory, WallTime now, Diagnostics& faults,
                                                KeyLogs keylogs) {
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->generation = before.snapshot != nullptr ? before.snapshot->generation + 1 : 1;
  snapshot->config = config;
  snapshot->counters =
      before.snapshot != nullptr ? before.snapshot->counters : std::make_shared<ProcessCounters>();
  bool whole = true;
  for (std::size_t i = 0; i < config.listeners.size(); ++i) {
    Diagnostics found;
    auto policy = build_listener(config.listeners[i], config, before, now, keylogs, found);
    add_below(faults, std::move(found), "listeners[" + std::to_string(i) + "]");
    whole = whole && policy != nullptr;
    snapshot->listeners.push_back(std::move(policy));
  }
  for (const auto& [name, backend] : config.backends) {
    Diagnostics found;
    auto policy = build_backend(backend, directory, tls_before(before.snapshot, name), now, found);
    add_below(faults, std::move(found), "backends." + name);
    whole = whole && policy.has_value();
    if (policy) snapshot->backends.emplace(name, *std::move(policy));
  }
  if (!config.admin_token_file.empty()) {
    snapshot->admin_token = AdminToken::load(config.admin_token_file, faults);
    whole = whole && snapshot->admin_token != nullptr;
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
