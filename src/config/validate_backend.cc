#include <sys/socket.h>

#include <algorithm>
#include <map>
#include <string>

#include "config/notation.h"
#include "config/validate.h"
#include "net/service_records.h"

namespace headgate::config {
namespace {

void check_servers(const Backend& backend, const std::string& key, Faults& faults) {
  if (backend.servers.empty() && !faults.concern(key + ".servers")) {
    faults.add(key, "needs \"servers\": one or more like \"127.0.0.1:8080\"");
  }
  std::map<std::string, std::size_t> seen;
  for (std::size_t index = 0; index < backend.servers.size(); ++index) {
    const std::string& address = backend.servers[index].address;
    const std::string server_key = key + ".servers[" + std::to_string(index) + ']';
    if (faults.concern(server_key)) continue;
    const auto [first, fresh] = seen.emplace(address, index);
    if (address.empty()) {
      faults.add(server_key, "needs \"address\": \"host:port\", \"unix:PATH\" or \"srv:NAME\"");
    } else if (!fresh) {
      faults.add(server_key, quote(address) + " is servers[" + std::to_string(first->second) +
                                 "] already; use \"weight\" to give it more");
    }
  }
}

void check_weights(const Backend& backend, const std::string& key, Faults& faults) {
  const bool idle = std::ranges::all_of(backend.servers, [](const Server& one) { return one.weight == 0; });
  if (idle && !backend.servers.empty() && !faults.concern(key + ".servers"))
    faults.add(key + ".servers", "no server has a weight above 0, so that no connection could go anywhere");
}

bool is_unix(const Server& server) {
  return server.address.starts_with("unix:");
}

bool is_original(const Server& server) {
  return server.address == kOriginal;
}

/// The address of the client's choice has no state of its own that could be watched, and no share.
void check_original(const Backend& backend, const std::string& key, Faults& faults) {
  if (std::ranges::none_of(backend.servers, is_original) || faults.concern(key + ".servers")) return;
  if (backend.servers.size() > 1) {
    faults.add(key + ".servers",
               "\"original\" is the address that the client asked for, so it must be the only server");
  }
  if (backend.health_check) {
    faults.add(key + ".health_check",
               "cannot be: \"original\" is another address for each client, and none of them can be checked");
  }
}

void check_source_fits(const Backend& backend, const std::string& key, Faults& faults) {
  if (backend.source.empty() || faults.concern(key + ".source")) return;
  const std::string source_key = key + ".source";
  if (!backend.servers.empty() && std::ranges::all_of(backend.servers, is_unix))
    return faults.add(source_key, "has no effect: a connection to a unix socket comes from no address");
  const auto source = Address::from_ip(backend.source, 0);
  if (!source) return;
  for (const Server& server : backend.servers) {
    const auto literal = Address::parse(server.address);
    if (is_unix(server) || !literal || literal->unmapped().family() == source->family()) continue;
    faults.add(source_key, "cannot reach " + quote(server.address) + ": no connection goes from an " +
                               (source->family() == AF_INET ? "IPv4" : "IPv6") + " address to an " +
                               (source->family() == AF_INET ? "IPv6" : "IPv4") + " address");
  }
}

/// "srv:8080" is a host.
bool is_service(const Server& server) {
  const std::string_view address = server.address;
  return address.starts_with(kServicePrefix) &&
         address.find_first_not_of("0123456789", kServicePrefix.size()) != address.npos;
}

void check_tls(const Backend& backend, const std::string& key, Faults& faults) {
  const BackendTls& tls = *backend.tls;
  if (!tls.verify) {
    faults.warn(key + ".verify", "any server that answers is trusted; give \"ca\" and leave verify on");
  }
  const auto needs_name = [&](const char* why) {
    if (tls.verify && tls.server_name.empty() && !faults.concern(key + ".server_name"))
      faults.add(key, std::string("needs \"server_name\": ") + why);
  };
  if (std::ranges::any_of(backend.servers, is_unix)) {
    needs_name("a unix socket has no host name to verify");
  } else if (std::ranges::any_of(backend.servers, is_original)) {
    needs_name("an address of the client's choice has no host name to verify; \"$sni\" is the client's");
  } else if (std::ranges::any_of(backend.servers, is_service)) {
    needs_name("the name to verify cannot come from the answer of a name server");
  }
  if (tls.certificate.empty() && !tls.private_key.empty() && !faults.concern(key + ".certificate")) {
    faults.add(key + ".private_key", "needs \"certificate\" too: the certificate of this key");
  }
  const bool both =
      tls.alpn.size() > 1 && std::find(tls.alpn.begin(), tls.alpn.end(), "$alpn") != tls.alpn.end();
  if (both)
    faults.add(key + ".alpn",
               "\"$alpn\" must be the only entry: it passes on exactly what the client asked for");
}

void check_queue(const Backend& backend, const std::string& key, Faults& faults) {
  const bool bounded =
      std::ranges::any_of(backend.servers, [](const Server& one) { return one.max_connections > 0; });
  if (backend.queue.size > 0 && !bounded && !faults.concern(key + ".servers"))
    faults.warn(key + ".queue.size", "no connection ever waits, because no server has \"max_connections\"");
}

/// A spare connection is made before there is a client, and nothing is said on it.
void check_preconnect(const Backend& backend, const std::string& key, Faults& faults) {
  if (backend.preconnect == 0 || faults.concern(key + ".preconnect")) return;
  const auto refuse = [&](const char* why) { faults.add(key + ".preconnect", why); };
  if (backend.source == kClientSource)
    refuse(
        "cannot be with \"source: client\": before there is a client, there is no address to connect from");
  if (std::ranges::any_of(backend.servers, is_original))
    refuse("cannot be with \"original\": before there is a client, there is no server to connect to");
  if (backend.tls && backend.tls->starttls)
    refuse(
        "cannot be with \"tls.starttls\": such a server greets first, or ends a connection on which nothing "
        "is said");
}

void check_health(const HealthCheck& check, const std::string& key, Faults& faults) {
  if (!check.send.empty() && check.expect.empty() && !faults.concern(key + ".expect")) {
    faults.add(
        key + ".send",
        "needs \"expect\" too: what the server answers tells whether it has understood, and nothing else");
  }
}

}  // namespace

void validate_backend(const Backend& backend, const std::string& key, Faults& faults) {
  if (faults.concern(key) && backend.servers.empty()) return;
  check_servers(backend, key, faults);
  check_weights(backend, key, faults);
  check_original(backend, key, faults);
  check_source_fits(backend, key, faults);
  if (backend.send_client_certificate && backend.send_proxy != SendProxy::kV2 &&
      !faults.concern(key + ".send_proxy")) {
    faults.add(key + ".send_client_certificate",
               "needs \"send_proxy: v2\": only that header has room for a certificate");
  }
  check_queue(backend, key, faults);
  check_preconnect(backend, key, faults);
  if (backend.tls) check_tls(backend, key + ".tls", faults);
  if (backend.health_check) check_health(*backend.health_check, key + ".health_check", faults);
}

}  // namespace headgate::config
