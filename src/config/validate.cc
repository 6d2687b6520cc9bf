#include "config/validate.h"

#include <map>
#include <set>
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
                        " already; each listener needs its own");
  }
}

/// Port 0 means another port each time.
bool is_one_place(const Address& address) {
  return address.is_unix() || address.port() != 0;
}

void check_binds(const Config& config, Faults& faults) {
  std::map<std::string, std::string> seen;
  if (config.admin && is_one_place(*config.admin)) seen.emplace(config.admin->text(), "admin.bind");
  for (std::size_t index = 0; index < config.listeners.size(); ++index) {
    const auto& bind = config.listeners[index].bind;
    for (std::size_t at = 0; at < bind.size(); ++at) {
      const std::string key = item_key(item_key("listeners", index) + ".bind", at);
      const auto [first, fresh] = seen.emplace(bind[at].text(), key);
      if (fresh || !is_one_place(bind[at])) continue;
      faults.add(key,
                 quote(bind[at].text()) + " is bound by " + first->second + " already; give it another port");
    }
  }
}

void warn_of_unused_backends(const Config& config, Faults& faults) {
  if (faults.concern("listeners")) return;  // the name may be the one that is misspelled
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

bool is_loopback(const Address& address) {
  const std::string host = address.host_text();
  return address.is_unix() || host == "::1" || host.starts_with("127.");
}

void warn_of_open_admin(const Config& config, Faults& faults) {
  if (!config.admin || is_loopback(*config.admin)) return;
  faults.warn("admin.bind", "any client that reaches " + config.admin->text() +
                                " can drain and reload; bind 127.0.0.1 or a unix socket, or guard the port");
}

}  // namespace

void validate(const Config& config, Faults& faults) {
  if (config.listeners.empty() && !faults.concern("listeners")) {
    faults.add("listeners", "at least one listener is needed, with \"bind\" and \"backend\"");
  }
  for (std::size_t index = 0; index < config.listeners.size(); ++index) {
    validate_listener(config.listeners[index], item_key("listeners", index), config, faults);
  }
  for (const auto& [name, backend] : config.backends) validate_backend(backend, "backends." + name, faults);
  check_names(config, faults);
  check_binds(config, faults);
  warn_of_unused_backends(config, faults);
  warn_of_open_admin(config, faults);
}

}  // namespace headgate::config
