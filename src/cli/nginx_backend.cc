#include "cli/nginx_backend.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/import_words.h"
#include "cli/nginx_tls.h"

namespace headgate {
namespace {

/// A `server` of an upstream.
struct NginxServer {
  config::Server server;
  config::Ejection ejection;
  bool has_ejection = false;
  bool backup = false;
  const Directive* line = nullptr;
};

/// "host:port" and "unix:PATH" as Headgate writes them.
std::string server_address(const std::string& text) {
  return text.starts_with("unix:") ? text : server_of(text);
}

/// Whether nginx would take `text`, and so there is a port.
bool is_server_address(const std::string& text) {
  if (text.starts_with("unix:")) return text.size() > 5;
  const std::size_t colon = text.rfind(':');
  return colon != std::string::npos && colon > 0 && number_of(std::string_view(text).substr(colon + 1)) &&
         !has_variable(text);
}

/// Reads one `upstream`.
class NginxUpstream {
 public:
  NginxUpstream(NginxLine& upstream, config::Backend& backend, Imported& into)
      : upstream_(upstream), backend_(backend), into_(into) {}

  void read() {
    upstream_.directive.take(0);
    upstream_.directive.take(1);
    for (NginxLine& line : upstream_.block) {
      if (line.name() == "server") {
        read_server(line.directive);
      } else {
        read_balance(line.directive);
      }
    }
    leave_backups_out();
    set_ejection();
    for (const NginxServer& one : servers_) backend_.servers.push_back(one.server);
  }

 private:
  void read_server(Directive& line) {
    if (!is_server_address(line.value())) return;
    NginxServer one;
    one.line = &line;
    one.server.address = server_address(line.value());
    line.take(0);
    line.take(1);
    for (std::size_t i = 2; i < line.size(); ++i) {
      if (take_word(one, line.word(i), line)) line.take(i);
    }
    servers_.push_back(std::move(one));
  }

  bool take_word(NginxServer& one, const std::string& word, const Directive& line) {
    const std::size_t equals = std::min(word.find('='), word.size());
    const std::string_view name = std::string_view(word).substr(0, equals);
    const std::string_view value = std::string_view(word).substr(std::min(equals + 1, word.size()));
    const auto number = number_of(value);
    if (name == "weight" && number && *number <= 256) {
      one.server.weight = *number;
    } else if (name == "max_conns" && number) {
      one.server.max_connections = *number;
    } else if (name == "max_fails" && number) {
      one.ejection.failures = static_cast<int>(std::min(*number, 1'000'000U));
      one.has_ejection = true;
    } else if (name == "fail_timeout") {
      const auto time = time_of(value);
      if (!time || time->count() == 0) return false;
      one.ejection.for_time = *time;
      one.has_ejection = true;
    } else if (name == "slow_start") {
      backend_.slow_start = std::max(backend_.slow_start, time_of(value).value_or(backend_.slow_start));
    } else if (word == "down") {
      one.server.weight = 0;
    } else if (word == "backup") {
      one.backup = true;
    } else if (word == "resolve") {
      into_.note(line, "server: resolve is left out: Headgate looks names up again by itself");
    } else {
      return false;
    }
    return true;
  }

  void read_balance(Directive& line) {
    const bool of_source = line.value() == "$remote_addr" || line.value() == "$binary_remote_addr";
    if (line.is("least_conn")) {
      backend_.balance = config::Balance::kLeastConnections;
    } else if (line.is("hash") && of_source) {
      backend_.balance = config::Balance::kSourceHash;
      if (line.word(2) == "consistent") line.take(2);
    } else if (line.is("random")) {
      read_random(line);
    } else {
      return;
    }
    line.take(0);
    if (!line.is("random")) line.take(1);
  }

  /// nginx chooses one server, or the one with fewer connections of two.
  void read_random(Directive& line) {
    backend_.balance = config::Balance::kRandomTwo;
    if (line.value() == "two") {
      line.take(1);
      if (line.word(2) == "least_conn") line.take(2);
    } else {
      into_.note(line, "random: Headgate chooses two servers, and of these the one with fewer connections");
    }
  }

  void leave_backups_out() {
    const bool only_backups = std::ranges::all_of(servers_, &NginxServer::backup);
    std::erase_if(servers_, [this, only_backups](const NginxServer& one) {
      if (one.backup)
        into_.lose(*one.line, std::string("server: no equivalent in Headgate for backup; ") +
                                  (only_backups ? "the servers take turns" : "left out"));
      return one.backup && !only_backups;
    });
  }

  /// Headgate has it once for the backend.
  void set_ejection() {
    for (const NginxServer& one : servers_) {
      if (!one.has_ejection) continue;
      if (backend_.ejection == config::Ejection()) backend_.ejection = one.ejection;
      if (one.ejection != backend_.ejection)
        into_.note(*one.line,
                   "server: max_fails and fail_timeout hold for all servers of the backend: the first");
    }
  }

  NginxLine& upstream_;
  config::Backend& backend_;
  Imported& into_;
  std::vector<NginxServer> servers_;
};

NginxLine* find_upstream(const std::string& name, const NginxStream& stream) {
  const auto found = std::ranges::find_if(
      stream.upstreams, [&name](const NginxLine* one) { return one->directive.value() == name; });
  return found == stream.upstreams.end() ? nullptr : *found;
}

/// `proxy_bind ADDRESS`, or `$remote_addr transparent`.
void set_source(NginxScope& scope, config::Backend& backend) {
  Directive* line = scope.find("proxy_bind");
  if (line == nullptr) return;
  if (line->value() == "$remote_addr" && line->word(2) == "transparent") {
    backend.source = config::kClientSource;
    line->take_all();
  } else if (Address::from_ip(line->value(), 0)) {
    backend.source = line->value();
    line->take(0);
    line->take(1);
  } else if (line->value() == "off") {
    line->take_all();
  }
}

/// The proxy_* lines that Headgate has for a backend.
void set_proxy(NginxScope& scope, config::Backend& backend) {
  if (scope.take_switch("proxy_protocol", false)) backend.send_proxy = config::SendProxy::kV1;
  scope.take_time("proxy_connect_timeout", backend.connect_timeout);
  const auto tries = number_of(scope.look("proxy_next_upstream_tries"));
  if (tries) scope.take("proxy_next_upstream_tries");
  if (tries && *tries > 0) backend.connect_attempts = static_cast<int>(std::min(*tries, 100U));
  if (!scope.take_switch("proxy_next_upstream", true)) backend.connect_attempts = 1;
  set_source(scope, backend);
}

/// Adds `backend` under a name that no other one has; an equal one is there already.
std::string add_backend(config::Backend backend, Imported& into) {
  const std::string base = backend.name;
  for (int number = 2;; ++number) {
    const auto [there, fresh] = into.config.backends.emplace(backend.name, backend);
    if (fresh || there->second == backend) return backend.name;
    backend.name = base + "-" + std::to_string(number);
  }
}

}  // namespace

std::string nginx_backend(const std::string& place, const Directive& line, NginxScope& scope,
                          NginxStream& stream, Imported& into) {
  NginxLine* upstream = find_upstream(place, stream);
  if (upstream == nullptr && !is_server_address(place)) {
    into.lose(line, line.key() + ": leads to no upstream of this file, and to no address with a port");
    return {};
  }
  config::Backend backend;
  NginxTarget target;
  if (upstream != nullptr) {
    backend.name = label_of(place);
    NginxUpstream(*upstream, backend, into).read();
    target = {place, false};
  } else {
    const bool is_unix = place.starts_with("unix:");
    backend.name = label_of(is_unix ? "unix" : place);
    backend.servers = {{.address = server_address(place)}};
    target = {is_unix ? "localhost" : place.substr(0, place.rfind(':')), !is_unix};
  }
  set_proxy(scope, backend);
  backend.tls = nginx_backend_tls(scope, target, into);
  return add_backend(std::move(backend), into);
}

}  // namespace headgate
