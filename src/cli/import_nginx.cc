#include <algorithm>
#include <array>
#include <chrono>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/import.h"
#include "cli/import_directive.h"
#include "cli/import_words.h"
#include "cli/nginx_access.h"
#include "cli/nginx_file.h"
#include "cli/nginx_listen.h"
#include "cli/nginx_routes.h"
#include "cli/nginx_scope.h"
#include "cli/nginx_tls.h"

namespace headgate {
namespace {

/// Directives of which each line counts; of the others nginx takes one.
bool counts_each(std::string_view name) {
  static const std::set<std::string_view> lists = {"access_log",
                                                   "allow",
                                                   "deny",
                                                   "env",
                                                   "error_log",
                                                   "include",
                                                   "limit_conn",
                                                   "limit_conn_zone",
                                                   "listen",
                                                   "load_module",
                                                   "log_format",
                                                   "map",
                                                   "proxy_ssl_conf_command",
                                                   "server",
                                                   "set",
                                                   "set_real_ip_from",
                                                   "split_clients",
                                                   "geo",
                                                   "ssl_certificate",
                                                   "ssl_certificate_key",
                                                   "ssl_conf_command",
                                                   "ssl_session_ticket_key",
                                                   "thread_pool",
                                                   "upstream"};
  return lists.contains(name);
}

/// Whether a line is left out wherever it stands.
bool is_harmless(std::string_view name) {
  const auto known = nginx_losses().find(name);
  return known != nginx_losses().end() && known->second.loss == Loss::kHarmless;
}

/// Makes one Config of the lines.
class NginxImport {
 public:
  Imported read(const ImportSource& source) {
    stream_.directory = source.directory;
    lines_ = nginx_lines(source, into_);
    name_repeated(lines_);
    bool found = false;
    for (NginxLine& line : lines_) {
      if (line.is_block && line.name() == "stream") {
        found = true;
        read_stream(line);
      } else {
        read_main(line.directive);
      }
    }
    if (!found)
      into_.lose(1, R"(there is no "stream { ... }", which is the part of nginx that Headgate replaces)");
    for (const NginxLine& line : lines_) name_line(line);
    return std::move(into_);
  }

 private:
  // --- outside of `stream`

  void read_main(Directive& line) {
    const auto number = number_of(line.value());
    if (line.is("user") && line.size() > 1) {
      into_.config.user = line.value();
      into_.config.group = line.size() > 2 ? line.word(2) : line.value();
    } else if (line.is("worker_processes") && (number || line.value() == "auto")) {
      into_.config.workers = static_cast<int>(std::min(number.value_or(0), 1024U));
    } else if (line.is("worker_shutdown_timeout") && time_of(line.value())) {
      into_.config.drain_deadline = *time_of(line.value());
    } else {
      return;
    }
    line.take_all();
  }

  /// nginx refuses a file with such a line.
  void name_repeated(const std::vector<NginxLine>& lines) {
    std::set<std::string_view> names;
    for (const NginxLine& line : lines) {
      if (!counts_each(line.name()) && !names.insert(line.name()).second)
        into_.lose(line.directive, line.name() + ": stands twice in one block, which nginx refuses");
      if (line.name() == "stream" || (line.name() == "server" && line.is_block)) name_repeated(line.block);
    }
  }

  // --- stream

  void read_stream(NginxLine& stream) {
    stream.directive.take_all();
    std::vector<Directive*> shared;
    std::vector<NginxLine*> servers;
    for (NginxLine& line : stream.block) {
      if (line.is_block && line.name() == "server") {
        servers.push_back(&line);
      } else if (line.is_block && line.name() == "map") {
        stream_.maps.push_back(&line);
      } else if (line.is_block && line.name() == "upstream") {
        stream_.upstreams.push_back(&line);
      } else if (line.name() == "limit_conn_zone") {
        read_zone(line.directive);
      } else if (!line.is_block && !is_harmless(line.name())) {
        shared.push_back(&line.directive);
      }
    }
    if (servers.empty()) into_.lose(stream.directive, "stream: has no server");
    SharedLines lines(shared);
    std::vector<bool> used(shared.size());
    for (NginxLine* server : servers) read_server(*server, lines.copy(), used);
    lines.settle(nginx_losses(), into_);
    for (std::size_t i = 0; i < shared.size() && !servers.empty(); ++i) {
      if (!used[i]) into_.note(*shared[i], shared[i]->key() + ": left out, because every server has its own");
    }
    for (NginxLine* map : stream_.maps) note_unused(*map, "proxy_pass");
    for (NginxLine* upstream : stream_.upstreams) note_unused(*upstream, "server");
  }

  void read_zone(Directive& line) {
    constexpr std::string_view kZone = "zone=";
    for (const std::string& word : line.words()) {
      if (!word.starts_with(kZone)) continue;
      const std::string name = word.substr(kZone.size(), word.find(':') - kZone.size());
      stream_.zones.emplace(name, &line);
    }
  }

  void note_unused(NginxLine& line, std::string_view user) {
    if (!line.directive.is_untouched()) return;
    into_.note(line.directive, line.name() + ' ' + line.directive.word(line.name() == "map" ? 2 : 1) +
                                   ": left out, because no " + std::string(user) + " uses it");
    line.directive.take_all();
    for (NginxLine& inner : line.block) inner.directive.take_all();
  }

  // --- servers

  void read_server(NginxLine& server, const std::vector<Directive*>& shared, std::vector<bool>& used) {
    server.directive.take_all();
    std::vector<Directive*> lines = inherited(server, shared, used);
    for (NginxLine& own : server.block) {
      if (!own.is_block) lines.push_back(&own.directive);
    }
    NginxScope scope(stream_.directory, std::move(lines));
    const auto listens = nginx_listens(scope, bound_, into_);
    if (listens.empty())
      into_.lose(server.directive, "server: no listen of it has an equivalent, and so it is left out");
    const std::string name = "server-" + std::to_string(++servers_);
    for (std::size_t i = 0; i < listens.size(); ++i)
      add_listener(listens[i], name + (i > 0 ? "-" + std::to_string(i + 1) : ""), server.directive, scope);
  }

  /// The lines of `stream` that hold in `server`, which become `used`. `allow` and `deny` are replaced
  /// together.
  static std::vector<Directive*> inherited(const NginxLine& server, const std::vector<Directive*>& shared,
                                           std::vector<bool>& used) {
    const auto kind = [](const std::string& name) { return name == "deny" ? std::string("allow") : name; };
    std::vector<Directive*> lines;
    for (std::size_t i = 0; i < shared.size(); ++i) {
      const bool replaced = std::ranges::any_of(
          server.block, [&](const NginxLine& own) { return kind(own.name()) == kind(shared[i]->key()); });
      if (replaced) {
        shared[i]->take_all();
      } else {
        used[i] = true;
        lines.push_back(shared[i]);
      }
    }
    return lines;
  }

  void add_listener(const NginxListen& listen, std::string name, const Directive& server, NginxScope& scope) {
    config::Listener& listener = into_.config.listeners.emplace_back();
    listener.name = std::move(name);
    listener.bind = listen.binds;
    if (listen.backlog > 0) listener.backlog = listen.backlog;
    set_timeouts(scope, listener);
    if (listen.tls) {
      scope.take_time("ssl_handshake_timeout", listener.timeouts.handshake);
      listener.tls = nginx_tls(scope, server, into_);
    } else {
      name_idle_lines(scope);
    }
    const NginxSource source = read_header(listen, scope, listener, server);
    add_nginx_networks(scope, source, listener, into_);
    add_nginx_limits(scope, source, stream_, listener, into_);
    add_nginx_routes(scope, server, stream_, listener, into_);
  }

  /// Lines about TLS in a server of which no listener has it. One with TLS has taken them before.
  void name_idle_lines(NginxScope& scope) {
    const auto is_tls = [&](const config::Listener& one) { return one.tls.has_value(); };
    const std::string first = "server-" + std::to_string(servers_);
    const auto of_server = std::ranges::find(into_.config.listeners, first, &config::Listener::name);
    if (of_server == into_.config.listeners.end() || !is_tls(*of_server)) name_idle_nginx_tls(scope, into_);
  }

  static void set_timeouts(NginxScope& scope, config::Listener& listener) {
    listener.timeouts.idle = std::chrono::minutes(10);  // as nginx has it
    scope.take_time("proxy_timeout", listener.timeouts.idle);
  }

  // --- PROXY headers

  NginxSource read_header(const NginxListen& listen, NginxScope& scope, config::Listener& listener,
                          const Directive& server) {
    const auto trusted = scope.all("set_real_ip_from");
    if (!listen.proxy_protocol) {
      for (Directive* line : trusted) {
        into_.note(*line, R"(set_real_ip_from: has no effect without "listen ... proxy_protocol"; left out)");
        line->take_all();
      }
      return NginxSource::kClient;
    }
    std::vector<Network>& from = listener.proxy_protocol.emplace().from;
    for (Directive* line : trusted) {
      const auto network = network_of(line->value());
      if (!network) continue;
      from.push_back(*network);
      line->take_all();
    }
    if (!from.empty()) {
      if (!is_for_all(from))
        into_.lose(
            server,
            "listen ... proxy_protocol: nginx wants a header from every source; in Headgate only those of "
            "set_real_ip_from may send one, and others connect without");
      return NginxSource::kClient;
    }
    from = {Network::parse("0.0.0.0/0").value_or(Network()), Network::parse("::/0").value_or(Network())};
    into_.note(server,
               "listen ... proxy_protocol: as in nginx every client may send the header and so claim any "
               "address; name your balancers in proxy_protocol.from");
    return NginxSource::kBalancer;
  }

  static bool is_for_all(const std::vector<Network>& networks) {
    const auto has = [&networks](std::string_view text) {
      return std::ranges::any_of(networks, [text](const Network& one) { return one.text() == text; });
    };
    return has("0.0.0.0/0") && has("::/0");
  }

  // --- what is left

  void name_line(const NginxLine& line) {
    name_the_rest(line.directive, nginx_losses(), into_);
    const bool is_read = line.name() == "stream" || line.name() == "server" || line.name() == "upstream" ||
                         line.name() == "map";
    if (!is_read) return;
    for (const NginxLine& inner : line.block) name_line(inner);
  }

  Imported into_;
  NginxStream stream_;
  std::vector<NginxLine> lines_;
  std::vector<Address> bound_;
  int servers_ = 0;
};

}  // namespace

Imported import_nginx(const ImportSource& source) {
  return NginxImport().read(source);
}

}  // namespace headgate
