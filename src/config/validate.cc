#include "config/validate.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "config/notation.h"

namespace headgate::config {
namespace {

std::string item_key(const std::string& list, std::size_t index) {
  return list + '[' + std::to_string(index) + ']';
}

void check_names(const Config& config, Faults& faults) {
  std::map<std::string, std::size_t> seen;
  for (std::size_t index = 0; index < config.listeners.size(); ++index) {
    const std::string& name = config.listeners[index].name;
    const auto [first, fresh] = seen.emplace(name, index);
    const std::string key = item_key("listeners", index) + ".name";
    if (fresh || name.empty() || faults.concern(key)) continue;
    faults.add(key, quote(name) + " is the name of " + item_key("listeners", first->second) +
                        faults.whereabouts(item_key("listeners", first->second) + ".name") +
                        " already; each listener needs its own");
  }
}

/// Port 0 means another port each time.
bool is_one_place(const Address& address) {
  return address.is_unix() || address.port() != 0;
}

void check_metrics_bind(const Config& config, std::map<std::string, std::string>& seen, Faults& faults) {
  const std::string key = "admin.metrics_bind";
  if (!config.admin_metrics || !is_one_place(*config.admin_metrics) || faults.concern(key)) return;
  if (!seen.emplace(config.admin_metrics->text(), key).second)
    faults.add(key, quote(config.admin_metrics->text()) + " is admin.bind already; give it another port");
}

void check_binds(const Config& config, Faults& faults) {
  std::map<std::string, std::string> seen;
  if (config.admin && is_one_place(*config.admin)) seen.emplace(config.admin->text(), "admin.bind");
  check_metrics_bind(config, seen, faults);
  for (std::size_t index = 0; index < config.listeners.size(); ++index) {
    const auto& bind = config.listeners[index].bind;
    for (std::size_t at = 0; at < bind.size(); ++at) {
      const std::string key = item_key(item_key("listeners", index) + ".bind", at);
      const Address& address = bind[at].address;
      const auto [first, fresh] = seen.emplace(address.text(), key);
      if (fresh || !is_one_place(address) || faults.concern(key)) continue;
      faults.add(key, quote(address.text()) + " is bound by " + first->second +
                          faults.whereabouts(first->second) + " already; give it another port");
    }
  }
}

void warn_of_unused_backends(const Config& config, Faults& faults) {
  if (faults.misses_a_file() || faults.concern("listeners"))
    return;  // the name may be the one that is misspelled
  std::set<std::string> used;
  for (const Listener& listener : config.listeners) {
    used.insert(listener.backend);
    for (const Route& route : listener.routes) used.insert(route.backend);
  }
  for (const auto& [name, backend] : config.backends) {
    if (!used.contains(name))
      faults.warn("backends." + name, "this backend is not used: no listener and no route names it");
  }
}

/// Whether connections of `listener` come to the backend `name` without TLS, which the listener has taken
/// off.
bool sends_plain_text(const Listener& listener, const std::string& name) {
  if (!listener.tls) return false;  // its clients may speak TLS to the server
  const auto goes_there = [&](const Route& route) { return !route.passthrough && route.backend == name; };
  return listener.backend == name || std::ranges::any_of(listener.routes, goes_there);
}

/// A server that answers such checks is none that such connections can use.
void check_health_checks(const Config& config, Faults& faults) {
  for (const auto& [name, backend] : config.backends) {
    const bool asks = backend.health_check && backend.health_check->type == HealthCheckType::kTls;
    const std::string key = "backends." + name + ".health_check.type";
    if (!asks || backend.tls || faults.concern("backends." + name)) continue;
    const auto plain = std::ranges::find_if(
        config.listeners, [&](const Listener& listener) { return sends_plain_text(listener, name); });
    if (plain == config.listeners.end()) continue;
    faults.add(key, "the check speaks TLS, but connections of listener " + quote(plain->name) +
                        " come without TLS: write \"type: tcp\", or give the backend \"tls\"");
  }
}

void warn_of_open_admin(const Config& config, Faults& faults) {
  if (!config.admin || !config.admin_token_file.empty()) return;
  if (config.admin->is_unix() || config.admin->unmapped().is_loopback()) return;
  faults.warn("admin.bind",
              "any client that reaches " + config.admin->text() +
                  " can drain and reload; bind 127.0.0.1 or a unix socket, or guard the port. "
                  "Metrics and health can have an address of their own, admin.metrics_bind, and "
                  "admin.token_file a secret for the rest");
}

void check_worker_cpus(const Config& config, Faults& faults) {
  if (faults.concern("workers")) return;
  if (config.worker_incoming_cpu && config.worker_cpus.empty()) {
    faults.add("workers.incoming_cpu",
               "needs workers.cpus: a connection can follow its CPU only to a worker that is bound to it");
  }
  if (config.worker_cpus.empty()) return;
  std::set<int> seen;
  for (std::size_t index = 0; index < config.worker_cpus.size(); ++index) {
    const CpuRange& range = config.worker_cpus[index];
    for (int cpu = range.first; cpu <= range.last; ++cpu) {
      if (seen.insert(cpu).second) continue;
      faults.add(item_key("workers.cpus", index), "names CPU " + std::to_string(cpu) + " a second time");
      break;
    }
  }
  const auto count = static_cast<std::size_t>(config.workers);
  if (count == 0 || count == seen.size()) return;
  faults.warn("workers.cpus", count > seen.size()
                                  ? "has fewer CPUs than there are workers, so some workers share one"
                                  : "has more CPUs than there are workers, so some are left without one");
}

}  // namespace

void validate(const Config& config, Faults& faults) {
  if (config.listeners.empty() && !faults.misses_a_file() && !faults.concern("listeners")) {
    faults.add("listeners", "at least one listener is needed, with \"bind\" and \"backend\"");
  }
  for (std::size_t index = 0; index < config.listeners.size(); ++index) {
    validate_listener(config.listeners[index], item_key("listeners", index), config, faults);
  }
  for (const auto& [name, backend] : config.backends) validate_backend(backend, "backends." + name, faults);
  check_names(config, faults);
  check_binds(config, faults);
  check_loops(config, faults);
  check_health_checks(config, faults);
  check_worker_cpus(config, faults);
  warn_of_unused_backends(config, faults);
  warn_of_open_admin(config, faults);
}

}  // namespace headgate::config
