#include <sys/socket.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "config/notation.h"
#include "config/validate.h"

namespace headgate::config {
namespace {

/// Whether a connection to `server` reaches a socket of `bind`, as far as the two say so: a name other than
/// "localhost" may be any machine's.
bool reaches(const Address& server, const Bind& bind) {
  const Address& bound = bind.address;
  if (server == bound) return true;
  if (server.is_unix() || bound.is_unix() || server.port() != bound.port()) return false;
  const bool is_ipv4 = server.family() == AF_INET;
  const bool is_here = server.is_loopback() || server.is_every_ipv6() || server.host_text() == "0.0.0.0";
  if (bound.is_every_ipv6()) return is_here && !(is_ipv4 && bind.ipv6_only);
  return bound.host_text() == "0.0.0.0" && is_here && is_ipv4;
}

/// The addresses that a server's text can stand for without a name server.
std::vector<Address> addresses_of(const std::string& server) {
  constexpr std::string_view kLocal = "localhost:";
  std::vector<std::string> texts{server};
  if (server.starts_with(kLocal)) {
    const std::string port = server.substr(kLocal.size());
    texts = {"127.0.0.1:" + port, "[::1]:" + port};
  }
  std::vector<Address> addresses;
  for (const std::string& text : texts) {
    if (auto address = Address::parse(text)) addresses.push_back(*address);
  }
  return addresses;
}

/// Which listeners send connections to which.
class Ways {
 public:
  explicit Ways(const Config& config) : config_(config), from_(config.listeners.size()) {
    for (std::size_t index = 0; index < config.listeners.size(); ++index) {
      for (const Bind& bind : config.listeners[index].bind)
        binds_[bind.address.port()].push_back({bind, index});
    }
    for (std::size_t index = 0; index < config.listeners.size(); ++index) add_ways_of(index);
  }

  struct Way {
    std::size_t to;
    std::string key;  // of the server that is a listener
    std::string server;
  };
  [[nodiscard]] const std::vector<Way>& from(std::size_t listener) const { return from_[listener]; }

  /// Whether connections of `listener` come to `end`.
  [[nodiscard]] bool lead(std::size_t listener, std::size_t end) const {
    std::set<std::size_t> seen{listener};
    std::vector<std::size_t> next{listener};
    while (!next.empty()) {
      const std::size_t one = next.back();
      next.pop_back();
      if (one == end) return true;
      for (const Way& way : from_[one]) {
        if (seen.insert(way.to).second) next.push_back(way.to);
      }
    }
    return false;
  }

 private:
  struct Bound {
    Bind bind;
    std::size_t listener;
  };

  void add_ways_of(std::size_t listener) {
    std::set<std::string> backends{config_.listeners[listener].backend};
    for (const Route& route : config_.listeners[listener].routes) backends.insert(route.backend);
    for (const std::string& name : backends) {
      const auto& ways = ways_of_backend(name);
      from_[listener].insert(from_[listener].end(), ways.begin(), ways.end());
    }
  }

  /// Many listeners may share a backend, so its servers are looked at once.
  const std::vector<Way>& ways_of_backend(const std::string& name) {
    const auto [known, fresh] = by_backend_.try_emplace(name);
    const auto backend = config_.backends.find(name);
    if (!fresh || backend == config_.backends.end()) return known->second;
    for (std::size_t at = 0; at < backend->second.servers.size(); ++at) {
      const std::string& server = backend->second.servers[at].address;
      if (const auto to = listener_at(server))
        known->second.push_back({*to, "backends." + name + ".servers[" + std::to_string(at) + ']', server});
    }
    return known->second;
  }

  [[nodiscard]] std::optional<std::size_t> listener_at(const std::string& server) const {
    for (const Address& address : addresses_of(server)) {
      const auto bound = binds_.find(address.port());
      if (bound == binds_.end()) continue;
      const auto found =
          std::ranges::find_if(bound->second, [&](const Bound& one) { return reaches(address, one.bind); });
      if (found != bound->second.end()) return found->listener;
    }
    return std::nullopt;
  }

  const Config& config_;
  std::map<std::uint16_t, std::vector<Bound>> binds_;  // by port
  std::map<std::string, std::vector<Way>> by_backend_;
  std::vector<std::vector<Way>> from_;
};

}  // namespace

void check_loops(const Config& config, Faults& faults) {
  const Ways ways(config);
  for (std::size_t index = 0; index < config.listeners.size(); ++index) {
    const std::string name = quote(config.listeners[index].name);
    for (const Ways::Way& way : ways.from(index)) {
      if (!ways.lead(way.to, index) || faults.concern(way.key)) continue;
      const std::string other = quote(config.listeners[way.to].name);
      faults.add(way.key, quote(way.server) + " is where listener " + other + " listens" +
                              (way.to == index ? "" : ", which leads back to listener " + name) +
                              ": each connection would make others without end; give the address of the "
                              "service");
    }
  }
}

}  // namespace headgate::config
