#include <sys/socket.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "config/keys.h"
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
  if (name.empty() || config.backends.contains(name)) return;
  if (faults.misses_a_file() || faults.concern("backends." + name)) return;
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

/// Where both sides have an upgrade to TLS, the client speaks with the backend in one protocol.
void check_protocol(const Listener& listener, const std::string& name, const std::string& key,
                    const Config& config, Faults& faults) {
  const auto backend = config.backends.find(name);
  if (!listener.starttls || backend == config.backends.end() || !backend->second.tls) return;
  const auto& asked = backend->second.tls->starttls;
  if (!asked || asked == listener.starttls) return;
  faults.add(key, "backend " + quote(name) + " is asked for TLS in " + kStarttls.text(asked) +
                      ", but the clients of this listener speak " + kStarttls.text(listener.starttls));
}

/// MySQL's greeting is the server's, and comes before a client can name anything; the login behind it must
/// reach a server that takes the connection for a secure one.
void check_mysql(const Listener& listener, const std::string& key, const Config& config, Faults& faults) {
  if (!listener.routes.empty() && !faults.concern(key + ".routes")) {
    faults.add(
        key + ".routes",
        "a listener with \"starttls: mysql\" has one backend and no routes: the server greets the client "
        "before the client asks for a name");
  }
  const auto found = config.backends.find(listener.backend);
  if (found == config.backends.end() || faults.concern(key + ".backend")) return;
  const Backend& backend = found->second;
  const bool local = std::ranges::all_of(
      backend.servers, [](const Server& server) { return server.address.starts_with("unix:"); });
  if (backend.tls ? backend.tls->starttls != StarttlsProtocol::kMysql : !local) {
    faults.add(key + ".backend", "with \"starttls: mysql\" backend " + quote(listener.backend) +
                                     " needs \"tls: {starttls: mysql}\", or unix sockets alone as servers: a "
                                     "server takes no other connection for a secure one");
  }
  if (backend.send_client_certificate) {
    faults.add(key + ".backend",
               "backend " + quote(listener.backend) +
                   " is told the client's certificate (\"send_client_certificate\"), but with "
                   "\"starttls: mysql\" it is reached before the client shows one");
  }
}

/// Whether a server of that protocol greets its client before the client says anything.
bool speaks_first(StarttlsProtocol protocol) {
  return protocol != StarttlsProtocol::kPostgres && protocol != StarttlsProtocol::kLdap;
}

/// A greeting that no client has asked for would spoil each spare connection.
void check_spares(const Listener& listener, const std::string& name, const std::string& key,
                  const Config& config, Faults& faults) {
  const auto backend = config.backends.find(name);
  if (backend == config.backends.end() || backend->second.preconnect == 0) return;
  if (!listener.starttls || !speaks_first(*listener.starttls)) return;
  faults.add(key, "backend " + quote(name) +
                      " has \"preconnect\", but with \"starttls: " + kStarttls.text(listener.starttls) +
                      "\" servers greet first, which spoils a connection that no client uses yet");
}

bool has_original(const Backend& backend) {
  return std::ranges::find(backend.servers, kOriginal, &Server::address) != backend.servers.end();
}

/// Addresses that the backend takes from its clients.
void check_addresses(const Listener& listener, const std::string& name, const std::string& key,
                     const Config& config, Faults& faults) {
  const auto backend = config.backends.find(name);
  if (backend == config.backends.end()) return;
  if (has_original(backend->second) && !listener.transparent) {
    faults.add(key, "backend " + quote(name) +
                        " goes to the address that the client asked for (\"original\"), which here is the "
                        "listener's own; it needs \"transparent: on\" in the listener");
  }
  const bool local =
      std::ranges::all_of(listener.bind, [](const Bind& bind) { return bind.address.is_unix(); });
  if (backend->second.source == kClientSource && local && !listener.proxy_protocol) {
    faults.add(key, "backend " + quote(name) +
                        " connects from the client's address (\"source: client\"), but clients of a unix "
                        "socket have none");
  }
}

void check_backend(const Listener& listener, const std::string& name, const std::string& key,
                   const Config& config, Faults& faults) {
  if (faults.concern(key)) return;
  check_backend_exists(name, key, config, faults);
  check_client_name(listener, name, key, config, faults);
  check_protocol(listener, name, key, config, faults);
  check_addresses(listener, name, key, config, faults);
  check_spares(listener, name, key, config, faults);
}

bool asks_for_tls(const Route& route) {
  return !route.sni.empty() || !route.alpn.empty() || !route.spiffe.empty();
}

bool is_unconditional(const Route& route) {
  return is_any_name(route) && route.alpn.empty() && route.spiffe.empty() && !route.asks_for_link();
}

/// TLS to the backend would wrap the client's TLS, which no server expects.
void check_tls_in_tls(const Route& route, const std::string& key, const Config& config, Faults& faults) {
  const auto backend = config.backends.find(route.backend);
  if (backend == config.backends.end() || !backend->second.tls || faults.concern(key + ".backend")) return;
  faults.add(key + ".backend",
             "backend " + quote(route.backend) +
                 " has \"tls\", but the client's own TLS passes through: remove \"tls\" from the backend, or "
                 "\"passthrough\" from the route");
}

void check_passthrough(const Route& route, const std::string& key, const Config& config, Faults& faults) {
  if (route.sni.empty() && !faults.concern(key + ".sni")) {
    faults.add(key + ".passthrough",
               "needs \"sni\" too: the names that pass through, or \"*\" for every client");
  }
  check_tls_in_tls(route, key, config, faults);
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
  if (!route.spiffe.empty() && !asks_for_certificates(tls)) {
    faults.add(key + ".spiffe",
               "can never match: tls.client_auth.mode is none, so no client shows a certificate");
  }
}

void check_route(const Listener& listener, const Route& route, const std::string& key, const Config& config,
                 Faults& faults) {
  if (route.backend.empty() && !faults.concern(key))
    faults.add(key, "a route needs \"backend\": where its connections go");
  check_backend(listener, route.backend, key + ".backend", config, faults);
  if (route.asks_for_link() && !listener.proxy_protocol && !faults.concern(key)) {
    faults.add(key,
               "can never match: only a PROXY header names a private link, and the listener has no "
               "\"proxy_protocol\"");
  }
  if (!listener.tls) return;
  if (route.passthrough) {
    check_passthrough(route, key, config, faults);
  } else {
    check_conditions(route, key, *listener.tls, faults);
  }
}

/// Conditions that hold for no client where the listener has no `tls`.
void check_route_without_tls(const Route& route, const std::string& key, Faults& faults) {
  if (route.passthrough) {
    faults.add(
        key + ".passthrough",
        "needs \"tls\" in the listener for the connections that do not pass through; if all shall, let "
        "the last route be {sni: \"*\", passthrough: on, backend: ...} and leave out the listener's "
        "own \"backend\"");
  } else if (asks_for_tls(route)) {
    faults.add(key, "can never match: the listener has no \"tls\"");
  }
}

void check_routes(const Listener& listener, const std::string& key, const Config& config, Faults& faults) {
  std::size_t open_at = listener.routes.size();
  for (std::size_t index = 0; index < listener.routes.size(); ++index) {
    const std::string route_key = key + ".routes[" + std::to_string(index) + ']';
    check_route(listener, listener.routes[index], route_key, config, faults);
    if (!listener.tls && !faults.concern(key + ".tls") && !faults.concern(route_key))
      check_route_without_tls(listener.routes[index], route_key, faults);
    if (index > open_at) {
      faults.warn(route_key, "is never reached: routes[" + std::to_string(open_at) + "] has no condition");
    } else if (is_unconditional(listener.routes[index])) {
      open_at = index;
    }
  }
}

/// An abstract unix socket has no file.
bool has_file(const Address& address) {
  return address.is_unix() && !address.text().starts_with("unix:@");
}

void check_bind(const Bind& bind, const std::string& key, Faults& faults) {
  if (faults.concern(key)) return;
  if (bind.address == Address())
    return faults.add(key, "needs \"address\": where it listens, like \":8443\"");
  if (bind.ipv6_only && bind.address.family() != AF_INET6)
    faults.add(key + ".ipv6_only", "has no effect: " + quote(bind.address.text()) + " is no IPv6 address");
  if (has_file(bind.address)) return;
  const auto refuse = [&](const char* name) {
    faults.add(key + name, "has no effect: " + quote(bind.address.text()) +
                               " is no file; only a unix socket with a path has a mode and an owner");
  };
  if (bind.mode) refuse(".mode");
  if (!bind.owner.empty()) refuse(".owner");
  if (!bind.group.empty()) refuse(".group");
}

/// Limits on handshakes, where there are none.
void warn_of_limits_without_tls(const Limits& limits, const std::string& key, Faults& faults) {
  constexpr std::string_view kNoHandshakes =
      "has no effect: without \"tls\" there are no handshakes; connection_rate and "
      "connection_rate_per_source bound "
      "connections";
  if (limits.handshake_rate > 0) faults.warn(key + ".handshake_rate", std::string(kNoHandshakes));
  if (limits.penalty.failures > 0) faults.warn(key + ".penalty", std::string(kNoHandshakes));
}

void check_transparent(const Listener& listener, const std::string& key, Faults& faults) {
  if (!listener.transparent || faults.concern(key + ".bind")) return;
  for (std::size_t index = 0; index < listener.bind.size(); ++index) {
    if (!listener.bind[index].address.is_unix()) continue;
    faults.add(key + ".bind[" + std::to_string(index) + ']',
               "no client asks for another address at a unix socket, so \"transparent\" must be off");
  }
}

void check_somewhere_to_go(const Listener& listener, const std::string& key, Faults& faults) {
  if (!listener.backend.empty() || !listener.routes.empty()) return;
  if (faults.concern(key + ".backend") || faults.concern(key + ".routes")) return;
  faults.add(key, "needs \"backend\" or \"routes\": where its connections go");
}

}  // namespace

bool is_any_name(const Route& route) {
  return route.sni.empty() || std::ranges::find(route.sni, "*") != route.sni.end();
}

void validate_listener(const Listener& listener, const std::string& key, const Config& config,
                       Faults& faults) {
  if (listener.bind.empty() && !faults.concern(key + ".bind")) {
    faults.add(key, "needs \"bind\": where it listens, like \":8443\"");
  }
  for (std::size_t index = 0; index < listener.bind.size(); ++index)
    check_bind(listener.bind[index], key + ".bind[" + std::to_string(index) + ']', faults);
  check_transparent(listener, key, faults);
  check_somewhere_to_go(listener, key, faults);
  check_backend(listener, listener.backend, key + ".backend", config, faults);
  check_routes(listener, key, config, faults);
  if (listener.starttls == StarttlsProtocol::kMysql) check_mysql(listener, key, config, faults);
  if (listener.proxy_protocol && listener.proxy_protocol->from.empty() &&
      !faults.concern(key + ".proxy_protocol")) {
    faults.add(key + ".proxy_protocol", "needs \"from\": the networks that send a PROXY header");
  }
  if (listener.tls) {
    validate_tls(listener, key + ".tls", faults);
  } else if (!faults.concern(key + ".tls")) {
    if (listener.starttls)
      faults.add(key + ".starttls", "needs \"tls\" in the listener: the upgrade leads to TLS");
    warn_of_limits_without_tls(listener.limits, key + ".limits", faults);
  }
}

}  // namespace headgate::config
