#include <algorithm>
#include <map>
#include <string>

#include "config/notation.h"
#include "config/validate.h"

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
      faults.add(server_key, "needs \"address\": \"host:port\" or \"unix:PATH\"");
    } else if (!fresh) {
      faults.add(server_key, quote(address) + " is servers[" + std::to_string(first->second) +
                                 "] already; use \"weight\" to give it more");
    }
  }
}

bool is_unix(const Server& server) {
  return server.address.starts_with("unix:");
}

void check_tls(const Backend& backend, const std::string& key, Faults& faults) {
  const BackendTls& tls = *backend.tls;
  if (!tls.verify) {
    faults.warn(key + ".verify", "any server that answers is trusted; give \"ca\" and leave verify on");
  }
  const bool nameless =
      tls.server_name.empty() && std::any_of(backend.servers.begin(), backend.servers.end(), is_unix);
  if (tls.verify && nameless && !faults.concern(key + ".server_name")) {
    faults.add(key, "needs \"server_name\": a unix socket has no host name to verify");
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

}  // namespace

void validate_backend(const Backend& backend, const std::string& key, Faults& faults) {
  if (faults.concern(key) && backend.servers.empty()) return;
  check_servers(backend, key, faults);
  if (backend.tls) check_tls(backend, key + ".tls", faults);
}

}  // namespace headgate::config
