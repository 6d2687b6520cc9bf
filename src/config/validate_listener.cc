#include <algorithm>
#include <string>
#include <vector>

#include "config/nearest.h"
#include "config/notation.h"
#include "config/validate.h"

namespace headgate::config {
namespace {

std::vector<std::string> backend_names(const Config& config) {
  std::vector<std::string> names;
  for (const auto& named : config.backends) names.push_back(named.first);
  return names;
}

/// `key` is the path of the backend's name.
void check_backend_exists(const std::string& name, const std::string& key, const Config& config,
                          Faults& faults) {
  if (name.empty() || config.backends.contains(name) || faults.concern("backends." + name)) return;
  faults.add(key, "there is no backend " + quote(name) + suggestion(name, backend_names(config)));
}

/// Only a client of TLS gives a name that can be passed on.
void check_client_name(const Listener& listener, const std::string& name, const std::string& key,
                       const Config& config, Faults& faults) {
  const auto backend = config.backends.find(name);
  if (listener.tls || backend == config.backends.end() || !backend->second.tls) return;
  if (backend->second.tls->server_name == "$sni") {
    faults.add(
        key, "backend " + quote(name) +
                 " passes the client's name on (\"$sni\"), but clients of a listener without tls give none");
  }
}

void check_backend(const Listener& listener, const std::string& name, const std::string& key,
                   const Config& config, Faults& faults) {
  if (faults.concern(key)) return;
  check_backend_exists(name, key, config, faults);
  check_client_name(listener, name, key, config, faults);
}

bool is_unconditional(const Route& route) {
  return route.sni.empty() && route.alpn.empty() && route.spiffe.empty();
}

void check_passthrough(const Route& route, const std::string& key, Faults& faults) {
  if (route.sni.empty()) {
    faults.add(key + ".passthrough",
               "needs \"sni\" too: the name that the client asks for decides what passes through");
  }
  if (!route.spiffe.empty()) {
    faults.add(key + ".spiffe", "can never match: with passthrough the client's certificate is not seen");
  }
}

/// Conditions that the listener's `tls` can never fulfil.
void check_conditions(const Route& route, const std::string& key, const Tls& tls, Faults& faults) {
  for (const std::string& name : route.alpn) {
    if (std::find(tls.alpn.begin(), tls.alpn.end(), name) != tls.alpn.end()) continue;
    faults.add(key + ".alpn", quote(name) + " can never match: the listener's tls.alpn does not offer it");
  }
  if (!route.spiffe.empty() && tls.client_auth.mode == ClientAuthMode::kNone) {
    faults.add(key + ".spiffe",
               "can never match: tls.client_auth.mode is none, so no client shows a certificate");
  }
}

void check_route(const Listener& listener, const Route& route, const std::string& key, const Config& config,
                 Faults& faults) {
  if (route.backend.empty() && !faults.concern(key))
    faults.add(key, "a route needs \"backend\": where its connections go");
  check_backend(listener, route.backend, key + ".backend", config, faults);
  if (!listener.tls) {
    if (faults.concern(key)) return;
    if (route.passthrough) faults.add(key + ".passthrough", "needs \"tls\" in the listener");
    if (!is_unconditional(route)) faults.add(key, "can never match: the listener has no \"tls\"");
  } else if (route.passthrough) {
    check_passthrough(route, key, faults);
  } else {
    check_conditions(route, key, *listener.tls, faults);
  }
}

void check_routes(const Listener& listener, const std::string& key, const Config& config, Faults& faults) {
  std::size_t open_at = listener.routes.size();
  for (std::size_t index = 0; index < listener.routes.size(); ++index) {
    const std::string route_key = key + ".routes[" + std::to_string(index) + ']';
    check_route(listener, listener.routes[index], route_key, config, faults);
    if (index > open_at) {
      faults.warn(route_key, "is never reached: routes[" + std::to_string(open_at) + "] has no condition");
    } else if (is_unconditional(listener.routes[index])) {
      open_at = index;
    }
  }
}

void check_somewhere_to_go(const Listener& listener, const std::string& key, Faults& faults) {
  if (!listener.backend.empty() || !listener.routes.empty()) return;
  if (faults.concern(key + ".backend") || faults.concern(key + ".routes")) return;
  faults.add(key, "needs \"backend\" or \"routes\": where its connections go");
}

}  // namespace

void validate_listener(const Listener& listener, const std::string& key, const Config& config,
                       Faults& faults) {
  if (listener.bind.empty() && !faults.concern(key + ".bind")) {
    faults.add(key, "needs \"bind\": where it listens, like \":8443\"");
  }
  check_somewhere_to_go(listener, key, faults);
  check_backend(listener, listener.backend, key + ".backend", config, faults);
  check_routes(listener, key, config, faults);
  if (listener.proxy_protocol && listener.proxy_protocol->from.empty() &&
      !faults.concern(key + ".proxy_protocol")) {
    faults.add(key + ".proxy_protocol", "needs \"from\": the networks that send a PROXY header");
  }
  if (listener.tls) {
    validate_tls(listener, key + ".tls", faults);
  } else if (listener.starttls && !faults.concern(key + ".tls")) {
    faults.add(key + ".starttls", "needs \"tls\" in the listener: the upgrade leads to TLS");
  }
}

}  // namespace headgate::config
