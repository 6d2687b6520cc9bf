#include "cli/explain_backend.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "cli/explain_lines.h"
#include "config/keys.h"

namespace headgate {
namespace {

std::string count_of(std::int64_t count, std::string_view one, std::string_view many) {
  return std::to_string(count) + ' ' + std::string(count == 1 ? one : many);
}

/// A server with what sets it apart from the others.
std::string told(const config::Server& server) {
  std::vector<std::string> facts;
  if (server.weight == 0) facts.emplace_back("gets no connection: weight 0");
  if (server.weight > 1) facts.push_back("weight " + std::to_string(server.weight));
  if (server.max_connections > 0)
    facts.push_back("at most " + count_of(server.max_connections, "connection", "connections"));
  return facts.empty() ? server.address : server.address + " (" + joined(facts) + ')';
}

bool goes_to_original(const config::Backend& backend) {
  return backend.servers.size() == 1 && backend.servers.front().address == config::kOriginal;
}

std::string choice_of_server(const config::Backend& backend) {
  if (goes_to_original(backend)) return "the address that the client asked for";
  std::vector<std::string> servers;
  for (const config::Server& server : backend.servers) servers.push_back(told(server));
  return config::kBalances.text(backend.balance) + " over " + joined(servers);
}

/// What becomes of a connection while every server is full; empty: none ever is.
std::string told_queue(const config::Backend& backend) {
  if (backend.queue.size > 0)
    return ", a queue of " + std::to_string(backend.queue.size) + " for " +
           config::duration_text(backend.queue.timeout);
  const bool may_be_full =
      std::ranges::all_of(backend.servers, [](const auto& one) { return one.max_connections > 0; });
  return may_be_full ? ", no queue: refused as no_backend while all are full" : "";
}

void say_choice(const config::Backend& backend) {
  std::string what = backend.name + ", " + choice_of_server(backend);
  if (backend.source == config::kClientSource) {
    what += ", from the client's address";
  } else if (!backend.source.empty()) {
    what += ", from " + backend.source;
  }
  what += told_queue(backend);
  if (backend.preconnect > 0)
    what += ", " + count_of(backend.preconnect, "spare connection", "spare connections") + " per worker";
  if (backend.slow_start.count() > 0)
    what += ", slow start over " + config::duration_text(backend.slow_start);
  if (backend.tls) what += backend.tls->verify ? ", with TLS" : ", with TLS that is not verified";
  if (backend.tls && backend.tls->starttls)
    what += ", asked for in " + config::kStarttls.text(backend.tls->starttls);
  say("backend", what);
}

void say_connect(const config::Backend& backend) {
  std::string what = "within " + config::duration_text(backend.connect_timeout) + ", " +
                     count_of(backend.connect_attempts, "attempt", "attempts");
  if (backend.ejection.failures > 0 && !goes_to_original(backend))
    what += "; a server is passed over for " + config::duration_text(backend.ejection.for_time) + " after " +
            count_of(backend.ejection.failures, "failure", "failures in a row");
  say("connect", what);
}

void say_proxy_header(const config::Backend& backend) {
  if (backend.send_proxy == config::SendProxy::kNone) return;
  say("proxy header to the server",
      config::kSendProxy.text(backend.send_proxy) +
          (backend.send_client_certificate ? ", with the client's certificate if it shows one" : ""));
}

/// The name that a server is asked for.
std::string asked_name(const config::BackendTls& tls, std::string_view sni) {
  constexpr std::string_view kHost = "the host of the server's address";
  if (tls.server_name != "$sni") return tls.server_name.empty() ? std::string(kHost) : tls.server_name;
  return sni.empty() ? std::string(kHost) + ", since the client named no server"
                     : std::string(sni) + ", as the client asked for";
}

std::vector<std::string> offered_protocols(const config::BackendTls& tls, std::string_view alpn) {
  std::vector<std::string> offered;
  for (const std::string& protocol : tls.alpn) {
    if (protocol != "$alpn") {
      offered.push_back(protocol);
    } else if (!alpn.empty()) {
      offered.emplace_back(alpn);
    }
  }
  return offered;
}

void say_tls(const config::Backend& backend, std::string_view sni, std::string_view alpn) {
  if (!backend.tls) return;
  const config::BackendTls& tls = *backend.tls;
  std::vector<std::string> facts{"name " + asked_name(tls, sni)};
  if (tls.verify)
    facts.push_back(tls.ca == "system" ? "verified with the CAs of the system" : "verified with " + tls.ca);
  if (!tls.certificate.empty()) facts.push_back("shows " + tls.certificate + " when asked");
  const auto offered = offered_protocols(tls, alpn);
  if (!offered.empty()) facts.push_back("offers alpn " + joined(offered));
  say("tls to the server", joined(facts));
}

void say_health_check(const config::Backend& backend) {
  if (!backend.health_check) return;
  const config::HealthCheck& check = *backend.health_check;
  std::string what = config::kHealthCheckTypes.text(check.type) + " every " +
                     config::duration_text(check.interval) + " within " +
                     config::duration_text(check.timeout) + ", down after " +
                     count_of(check.fall, "failure", "failures") + ", up after " +
                     count_of(check.rise, "success", "successes");
  if (!check.send.empty()) what += ", says " + config::quote(config::WireBytes{}.text(check.send));
  if (!check.expect.empty()) what += ", expects " + config::quote(config::WireBytes{}.text(check.expect));
  say("health check", what);
}

}  // namespace

void explain_backend(const config::Backend& backend, std::string_view sni, std::string_view alpn) {
  say_choice(backend);
  say_connect(backend);
  say_proxy_header(backend);
  say_tls(backend, sni, alpn);
  say_health_check(backend);
}

std::string addresses_of(const config::Backend& backend) {
  std::vector<std::string> addresses;
  for (const config::Server& server : backend.servers) addresses.push_back(server.address);
  return joined(addresses);
}

}  // namespace headgate
