#include "cli/haproxy_backend.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/import_words.h"

namespace headgate {
namespace {

/// A `server` line, after the `default-server` lines.
struct HaproxyServer {
  config::Server server;
  config::BackendTls tls;
  bool speaks_tls = false;
  std::string verify_host;
  config::SendProxy send_proxy = config::SendProxy::kNone;
  std::optional<config::HealthCheck> check;
  config::HealthCheck timing;  ///< Holds if it is checked.
  std::chrono::milliseconds slow_start{0};
  std::uint32_t max_queue = 0;  ///< 0: no bound.
  Words tls_words;              ///< The options that mean something only with "ssl".
  Words check_words;            ///< The options that mean something only with "check".
  bool backup = false;
  bool disabled = false;
  int line = 0;
};

/// Reads the options of `server` and `default-server` lines.
class ServerOptions {
 public:
  ServerOptions(HaproxyServer& server, const HaproxyGlobal& global, Imported& into)
      : server_(server), global_(global), into_(into) {}

  void read(Directive& directive, std::size_t from) {
    DirectiveOptions options(directive, from);
    while (!options.at_end()) {
      if (!take_state(options) && !take_number(options) && !take_check(options) && !take_tls(options) &&
          !take_version(options) && !take_harmless(options))
        options.skip();
    }
  }

 private:
  bool take_state(DirectiveOptions& options) {
    const std::string& word = options.peek();
    if (word == "ssl" || word == "no-ssl") {
      server_.speaks_tls = word == "ssl";
    } else if (word == "check" || word == "no-check") {
      server_.check.reset();
      if (word == "check") server_.check.emplace();
    } else if (word == "backup" || word == "no-backup") {
      server_.backup = word == "backup";
    } else if (word == "disabled" || word == "enabled") {
      server_.disabled = word == "disabled";
    } else if (word == "send-proxy") {
      server_.send_proxy = config::SendProxy::kV1;
    } else if (word.starts_with("send-proxy-v2")) {
      server_.send_proxy = config::SendProxy::kV2;
    } else if (word.starts_with("no-send-proxy")) {
      server_.send_proxy = config::SendProxy::kNone;
    } else {
      return false;
    }
    options.take_flag();
    return true;
  }

  bool take_number(DirectiveOptions& options) {
    const std::string word = options.peek();
    const auto number = number_of(options.value());
    if (!number) return false;
    if (word == "weight") {
      server_.server.weight = *number;
    } else if (word == "maxconn") {
      server_.server.max_connections = *number;
    } else if (word == "maxqueue") {
      server_.max_queue = *number;
    } else if (word == "rise") {
      server_.timing.rise = static_cast<int>(std::clamp(*number, 1U, 100U));
    } else if (word == "fall") {
      server_.timing.fall = static_cast<int>(std::clamp(*number, 1U, 100U));
    } else {
      return false;
    }
    if (word == "rise" || word == "fall") server_.check_words.push_back(word);
    options.take_value();
    return true;
  }

  bool take_check(DirectiveOptions& options) {
    const bool slow_start = options.peek() == "slowstart";
    if (!slow_start && options.peek() != "inter") return false;
    const auto time = haproxy_time(options.value());
    if (!time || time->count() == 0) return false;
    if (slow_start) {
      server_.slow_start = *time;
      options.take_value();
      return true;
    }
    server_.timing.interval = *time;
    server_.check_words.push_back(options.peek());
    options.take_value();
    return true;
  }

  bool take_tls(DirectiveOptions& options) {
    const std::string word = options.peek();
    const std::string value = options.value();
    config::BackendTls& tls = server_.tls;
    if (word == "verify" && (value == "none" || value == "required")) {
      tls.verify = value == "required";
    } else if (word == "ca-file") {
      tls.ca = global_.ca_path(value);
    } else if (word == "crt") {
      tls.certificate = global_.certificate_path(value);
    } else if (word == "alpn") {
      tls.alpn = parts_of(value, ",");
    } else if (word == "verifyhost") {
      server_.verify_host = value;
    } else if (word == "sni") {
      const auto name = name_of(value);
      if (!name) return false;
      tls.server_name = *name;
    } else {
      return false;
    }
    server_.tls_words.push_back(word);
    options.take_value();
    return true;
  }

  /// "str(NAME)", or the client's own name.
  static std::optional<std::string> name_of(const std::string& text) {
    if (text == "ssl_fc_sni" || text == "req.ssl_sni" || text == "req_ssl_sni") return "$sni";
    if (text.starts_with("str(") && text.find(')') == text.size() - 1) return text.substr(4, text.size() - 5);
    return std::nullopt;
  }

  /// Headgate speaks TLS 1.2 and 1.3 to backends. It takes a range that holds both.
  bool take_version(DirectiveOptions& options) {
    const std::string word = options.peek();
    if (word == "ssl-min-ver" || word == "ssl-max-ver") {
      const auto version = tls_number_of(options.value());
      const bool holds = version && (word == "ssl-min-ver" ? *version <= 12 : *version >= 13);
      if (holds) server_.tls_words.push_back(word);
      if (holds) options.take_value();
      return holds;
    }
    if (!word.starts_with("no-")) return false;
    const auto version = tls_number_of(std::string_view(word).substr(3));
    if (!version || *version >= 12) return false;
    options.take_flag();
    return true;
  }

  /// Words of tuning, and whether a value follows them.
  bool take_harmless(DirectiveOptions& options) {
    static const std::map<std::string_view, bool> words = {{"fastinter", true},
                                                           {"downinter", true},
                                                           {"init-addr", true},
                                                           {"resolvers", true},
                                                           {"resolve-prefer", true},
                                                           {"resolve-opts", true},
                                                           {"observe", true},
                                                           {"error-limit", true},
                                                           {"on-error", true},
                                                           {"on-marked-down", true},
                                                           {"on-marked-up", true},
                                                           {"id", true},
                                                           {"cookie", true},
                                                           {"minconn", true},
                                                           {"tcp-ut", true},
                                                           {"tfo", false},
                                                           {"pool-max-conn", true},
                                                           {"pool-purge-delay", true},
                                                           {"pool-low-conn", true},
                                                           {"max-reuse", true},
                                                           {"check-sni", true},
                                                           {"check-alpn", true},
                                                           {"check-ssl", false},
                                                           {"no-check-ssl", false},
                                                           {"no-tls-tickets", false},
                                                           {"tls-tickets", false},
                                                           {"no-ssl-reuse", false},
                                                           {"ssl-reuse", false},
                                                           {"check-send-proxy", false},
                                                           {"log-bufsize", true},
                                                           {"stick", false},
                                                           {"non-stick", false}};
    const auto known = words.find(options.peek());
    if (known == words.end()) return false;
    into_.note(options.line(),
               "server: " + options.peek() + " is left out: Headgate does it in its own way or not at all");
    options.take_flag();
    if (known->second && !options.at_end()) options.take_flag();
    return true;
  }

  HaproxyServer& server_;
  const HaproxyGlobal& global_;
  Imported& into_;
};

class HaproxyBackend {
 public:
  HaproxyBackend(const HaproxyProxy& proxy, const HaproxyGlobal& global, Imported& into)
      : proxy_(proxy), global_(global), into_(into) {}

  void read() {
    backend_.name = label_of(proxy_.name());
    defaults_.tls.verify = global_.verify_servers;
    for (Directive* line : proxy_.lines) {
      if (line->is("default-server")) {
        line->take(0);
        ServerOptions(defaults_, global_, into_).read(*line, 1);
      } else if (line->is("server") && line->size() > 2) {
        add_server(*line);
      } else {
        set(*line);
      }
    }
    leave_servers_out();
    for (const HaproxyServer& server : servers_) backend_.servers.push_back(server.server);
    set_proxy();
    set_check();
    set_queue();
    set_tls();
    const bool fresh = into_.config.backends.emplace(backend_.name, backend_).second;
    if (!fresh)
      into_.lose(proxy_.section->line(),
                 proxy_.name() + ": another backend has this name in Headgate, and this one is left out");
  }

 private:
  void set(Directive& line) {
    const std::string& value = line.value();
    if (line.is("balance")) {
      set_balance(line);
    } else if (line.is("retries")) {
      const auto number = number_of(value);
      if (!number) return;
      backend_.connect_attempts = static_cast<int>(std::min(*number, 99U)) + 1;
      line.take_all();
    } else if (line.is("timeout", "connect")) {
      const auto time = haproxy_time(line.word(2));
      if (!time || time->count() == 0) return;
      backend_.connect_timeout = *time;
      line.take_all();
    } else if (line.is("timeout", "queue")) {
      queue_timeout_ = haproxy_time(line.word(2));
      if (queue_timeout_ && queue_timeout_->count() > 0) line.take_all();
    } else if (line.is("timeout", "check")) {
      check_timeout_ = haproxy_time(line.word(2));
      if (check_timeout_ && check_timeout_->count() > 0) line.take_all();
    } else if (line.is("option", "ssl-hello-chk")) {
      hello_check_ = true;
      line.take_all();
    } else if (line.is("option", "tcp-check")) {
      line.take_all();  // its own rules are lines of "tcp-check"
    }
  }

  void set_balance(Directive& line) {
    static const std::map<std::string_view, config::Balance> balances = {
        {"roundrobin", config::Balance::kRoundRobin},
        {"static-rr", config::Balance::kRoundRobin},
        {"leastconn", config::Balance::kLeastConnections},
        {"source", config::Balance::kSourceHash},
        {"random", config::Balance::kRandomTwo}};
    const std::string word = line.value().substr(0, line.value().find('('));
    const auto known = balances.find(word);
    if (known == balances.end()) {
      into_.lose(line.line(), "balance " + word + ": no equivalent in Headgate; round_robin is used");
    } else {
      backend_.balance = known->second;
    }
    line.take_all();
  }

  void add_server(Directive& line) {
    HaproxyServer server = defaults_;
    server.line = line.line();
    for (std::size_t i = 0; i < 3; ++i) line.take(i);
    ServerOptions(server, global_, into_).read(line, 3);
    name_idle_words(server);
    std::string address = line.word(2);
    for (const std::string_view prefix : {"ipv4@", "ipv6@", "unix@"}) {
      if (address.starts_with(prefix)) address.erase(0, prefix.size());
    }
    if (address.starts_with("abns@")) address.erase(0, 4);
    server.server.address = server_of(address);
    if (goes_to_one_place(address)) {
      servers_.push_back(std::move(server));
    } else {
      into_.lose(line.line(),
                 "server " + line.value() +
                     ": left out, because Headgate needs a host and a port that do not depend on "
                     "the client's connection");
    }
  }

  void name_idle_words(const HaproxyServer& server) {
    for (const std::string& word : server.tls_words) {
      if (!server.speaks_tls) into_.note(server.line, "server: " + word + " has no effect without \"ssl\"");
    }
    for (const std::string& word : server.check_words) {
      if (!server.check) into_.note(server.line, "server: " + word + " has no effect without \"check\"");
    }
  }

  /// HAProxy takes what is missing from the client's own connection.
  static bool goes_to_one_place(const std::string& address) {
    if (address.starts_with('/') || address.starts_with('@')) return true;
    const std::size_t colon = address.rfind(':');
    if (colon == std::string::npos || address.find('@') != std::string::npos) return false;
    const std::string host = address.substr(0, colon);
    const auto port = number_of(address.substr(colon + 1));
    return port && *port > 0 && *port < 65536 && !host.empty() && host != "*" && host != "0.0.0.0" &&
           host != "::" && host != "[::]";
  }

  /// Servers that HAProxy would send nothing to at first.
  void leave_servers_out() {
    const bool only_backups = std::ranges::all_of(servers_, [](const HaproxyServer& one) {
      return one.backup || one.disabled || one.server.weight == 0;
    });
    std::erase_if(servers_, [&](const HaproxyServer& one) {
      const bool spare = one.backup && !only_backups;
      if (one.disabled) into_.lose(one.line, "server: it is disabled; left out");
      if (!one.disabled && one.backup)
        into_.lose(one.line, std::string("server: no equivalent in Headgate for backup; ") +
                                 (spare ? "left out" : "the servers take turns"));
      return one.disabled || spare;
    });
  }

  /// Headgate has these once for the backend.
  void set_proxy() {
    if (servers_.empty()) return;
    backend_.send_proxy = servers_.front().send_proxy;
    for (const HaproxyServer& one : servers_) {
      if (one.send_proxy != backend_.send_proxy)
        into_.lose(one.line,
                   "server: the servers of one backend get the same PROXY header: that of the first");
    }
  }

  void set_check() {
    for (const HaproxyServer& one : servers_) {
      backend_.slow_start = std::max(backend_.slow_start, one.slow_start);
      if (!one.check || backend_.health_check) continue;
      backend_.health_check = one.timing;
      if (hello_check_ || one.speaks_tls) backend_.health_check->type = config::HealthCheckType::kTls;
      if (check_timeout_ && check_timeout_->count() > 0) backend_.health_check->timeout = *check_timeout_;
    }
  }

  /// A server with maxconn has a queue, even where nothing else is said of it.
  void set_queue() {
    constexpr std::uint64_t kMost = std::numeric_limits<std::uint32_t>::max();
    std::uint64_t size = 0;
    bool bounded = false;
    for (const HaproxyServer& one : servers_) {
      bounded = bounded || one.server.max_connections > 0;
      size += one.max_queue > 0 ? one.max_queue : kMost;
    }
    if (!bounded) return;
    backend_.queue.size = static_cast<std::uint32_t>(std::min(size, kMost));
    const bool timed = queue_timeout_ && queue_timeout_->count() > 0;
    backend_.queue.timeout = timed ? *queue_timeout_ : backend_.connect_timeout;
  }

  void set_tls() {
    for (HaproxyServer& one : servers_) {
      if (!one.speaks_tls) continue;
      name_server(one);
      if (!backend_.tls) backend_.tls = one.tls;
    }
    if (!backend_.tls) return;
    for (const HaproxyServer& one : servers_) {
      if (one.speaks_tls && one.tls == *backend_.tls) continue;
      into_.lose(one.line,
                 "server: the servers of one backend have the same TLS: that of the first with \"ssl\", and "
                 "verify if one of them is verified");
      backend_.tls->verify = backend_.tls->verify || (one.speaks_tls && one.tls.verify);
    }
  }

  void name_server(HaproxyServer& one) {
    if (!one.verify_host.empty()) {
      if (!one.tls.server_name.empty() && one.tls.server_name != one.verify_host)
        into_.lose(one.line, "server: the name of sni is also the one that is verified; verifyhost is used");
      one.tls.server_name = one.verify_host;
    } else if (one.tls.verify && one.tls.server_name.empty()) {
      into_.note(
          one.line,
          "server: its name is verified too, which HAProxy does not do without sni and verifyhost; set "
          "tls.server_name if the certificate has another name than the address");
    }
  }

  const HaproxyProxy& proxy_;
  const HaproxyGlobal& global_;
  Imported& into_;
  config::Backend backend_;
  HaproxyServer defaults_;
  std::vector<HaproxyServer> servers_;
  std::optional<std::chrono::milliseconds> check_timeout_, queue_timeout_;
  bool hello_check_ = false;
};

}  // namespace

void import_haproxy_backend(const HaproxyProxy& proxy, const HaproxyGlobal& global, Imported& into) {
  HaproxyBackend(proxy, global, into).read();
}

}  // namespace headgate
