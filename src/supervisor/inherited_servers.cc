#include "supervisor/inherited_servers.h"

#include <charconv>
#include <chrono>
#include <optional>
#include <string_view>

namespace headgate {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view kLineBegin = "server_back for=";

struct BackServer {
  milliseconds back_for{0};
  std::string_view backend, server;
};

/// Of a time that is later than the clock can tell nothing is said.
std::optional<BackServer> parse_server(std::string_view line) {
  constexpr std::chrono::hours kLongest{24 * 365};
  if (!line.starts_with(kLineBegin)) return std::nullopt;
  line.remove_prefix(kLineBegin.size());
  milliseconds::rep back_for = 0;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), back_for);
  if (error != std::errc() || back_for < 0 || milliseconds(back_for) > kLongest) return std::nullopt;
  line.remove_prefix(static_cast<std::size_t>(end - line.data()));
  if (!line.starts_with(' ')) return std::nullopt;
  line.remove_prefix(1);
  const auto space = line.find(' ');
  if (space == line.npos) return std::nullopt;
  return BackServer{milliseconds(back_for), line.substr(0, space), line.substr(space + 1)};
}

ServerState* find_server(const Snapshot& snapshot, const BackServer& one) {
  const auto backend = snapshot.backends.find(std::string(one.backend));
  if (backend == snapshot.backends.end()) return nullptr;
  for (const Server& server : backend->second.group->servers) {
    if (server.config.address == one.server) return server.state.get();
  }
  return nullptr;
}

}  // namespace

std::vector<std::string> servers_to_leave(const ProcessState& state) {
  std::vector<std::string> lines;
  for (const BackendReport& backend : state.backends) {
    for (const ServerReport& server : backend.servers) {
      if (!server.back_for) continue;
      lines.push_back(std::string(kLineBegin) + std::to_string(server.back_for->count()) + ' ' +
                      backend.name + ' ' + server.address);
    }
  }
  return lines;
}

void inherit_servers(const std::vector<std::string>& lines, const Snapshot& snapshot, TimePoint now) {
  for (const std::string& line : lines) {
    const auto one = parse_server(line);
    if (!one) continue;
    if (ServerState* server = find_server(snapshot, *one)) server->set_back_since(now - one->back_for);
  }
}

}  // namespace headgate
