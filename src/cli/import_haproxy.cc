#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/haproxy_backend.h"
#include "cli/haproxy_bind.h"
#include "cli/haproxy_file.h"
#include "cli/haproxy_rules.h"
#include "cli/import.h"
#include "cli/import_directive.h"
#include "cli/import_words.h"

namespace headgate {
namespace {

constexpr KnownLoss kNoHttp{Loss::kHarmless, "no equivalent in Headgate, which does not read HTTP"};
constexpr KnownLoss kOtherCheck{
    Loss::kRule, "no equivalent in Headgate: servers are checked by a connection, or by a TLS handshake"};

KnownLosses losses_of_options() {
  return {
      {"option forwardfor",
       {Loss::kHarmless, "no equivalent in Headgate, which does not read HTTP; use send_proxy"}},
      {"option abortonclose", kOwnWay},
      {"option allbackups", kOwnWay},
      {"option clitcpka", kOwnWay},
      {"option contstats", kOwnWay},
      {"option dontlog-normal", kOwnLog},
      {"option dontlognull", kOwnLog},
      {"option http-buffer-request", kNoHttp},
      {"option http-keep-alive", kNoHttp},
      {"option http-no-delay", kNoHttp},
      {"option http-pretend-keepalive", kNoHttp},
      {"option http-server-close", kNoHttp},
      {"option httpclose", kNoHttp},
      {"option httplog", kOwnLog},
      {"option httpslog", kOwnLog},
      {"option idle-close-on-response", kNoHttp},
      {"option independent-streams", kOwnWay},
      {"option log-health-checks", kOwnLog},
      {"option log-separate-errors", kOwnLog},
      {"option logasap", kOwnLog},
      {"option nolinger", kOwnWay},
      {"option prefer-last-server", kOwnWay},
      {"option redispatch", kOwnWay},
      {"option socket-stats", kOwnWay},
      {"option splice-auto", kOwnWay},
      {"option splice-request", kOwnWay},
      {"option splice-response", kOwnWay},
      {"option srvtcpka", kOwnWay},
      {"option tcp-smart-accept", kOwnWay},
      {"option tcp-smart-connect", kOwnWay},
      {"option tcpka", kOwnWay},
      {"option tcplog", kOwnLog},
      {"option external-check", kOtherCheck},
      {"option httpchk", kOtherCheck},
      {"option ldap-check", kOtherCheck},
      {"option mysql-check", kOtherCheck},
      {"option pgsql-check", kOtherCheck},
      {"option redis-check", kOtherCheck},
      {"option smtpchk", kOtherCheck},
  };
}

KnownLosses losses_of_lines() {
  return {
      {"chroot",
       {Loss::kHarmless, "no equivalent in Headgate: the sandbox (Landlock, seccomp) takes its place"}},
      {"log", kOwnLog},
      {"log-format", kOwnLog},
      {"log-format-sd", kOwnLog},
      {"log-tag", kOwnLog},
      {"log-send-hostname", kOwnLog},
      {"error-log-format", kOwnLog},
      {"unique-id-format", kOwnLog},
      {"unique-id-header", kOwnLog},
      {"capture", kOwnLog},
      {"no log", kOwnLog},
      {"daemon", kOwnWay},
      {"master-worker", kOwnWay},
      {"pidfile", kOwnWay},
      {"nbproc", kOwnWay},
      {"cpu-map", kOwnWay},
      {"thread-groups", kOwnWay},
      {"stats", {Loss::kHarmless, "no equivalent in Headgate: its admin endpoint takes its place"}},
      {"description", kOwnWay},
      {"node", kOwnWay},
      {"id", kOwnWay},
      {"ulimit-n", kOwnWay},
      {"quiet", kOwnWay},
      {"zero-warning", kOwnWay},
      {"set-dumpable", kOwnWay},
      {"localpeer", kOwnWay},
      {"server-state-base", kOwnWay},
      {"server-state-file", kOwnWay},
      {"load-server-state-from-file", kOwnWay},
      {"spread-checks", kOwnWay},
      {"max-spread-checks", kOwnWay},
      {"maxsslconn", kOwnWay},
      {"maxpipes", kOwnWay},
      {"fullconn", kOwnWay},
      {"grace", kOwnWay},
      {"hash-type", kOwnWay},
      {"retry-on", kOwnWay},
      {"compression", kNoHttp},
      {"cookie", kNoHttp},
      {"errorfile", kNoHttp},
      {"errorfiles", kNoHttp},
      {"errorloc", kNoHttp},
      {"errorloc302", kNoHttp},
      {"errorloc303", kNoHttp},
      {"monitor-uri", {Loss::kHarmless, "no equivalent in Headgate: /healthz and /readyz take its place"}},
      {"mode http",
       {Loss::kHarmless, "Headgate relays the bytes and does not read HTTP; HTTP/2 goes on as HTTP/2"}},
      {"tcp-check", kOtherCheck},
      {"http-check", kOtherCheck},
      {"no option", {Loss::kHarmless, "left out: the option is not taken over anyhow"}},
      {"tcp-request inspect-delay",
       {Loss::kHarmless, "left out: Headgate waits for the ClientHello until timeouts.handshake"}},
      {"timeout",
       {Loss::kHarmless, "no equivalent in Headgate; a listener has one idle time for both directions"}},
      {"use_backend",
       {Loss::kRule,
        "only conditions on the name (ssl_fc_sni, req.ssl_sni) or on ssl_fc_alpn, perhaps with \"or\", have "
        "an "
        "equal"}},
      {"tcp-request",
       {Loss::kRule,
        "no equivalent in Headgate: only conditions on src become allow and deny, if their order does not "
        "matter"}},
      {"http-request", {Loss::kRule, "no equivalent in Headgate, which does not read HTTP"}},
      {"http-response", {Loss::kRule, "no equivalent in Headgate, which does not read HTTP"}},
  };
}

/// Lines that change neither access nor TLS nor where a connection goes. Every other line that is not taken
/// over is a rule.
const KnownLosses& haproxy_losses() {
  static const KnownLosses losses = [] {
    KnownLosses all = losses_of_lines();
    all.merge(losses_of_options());
    return all;
  }();
  return losses;
}

/// Lines of `global` that only tune.
bool is_tuning(const Directive& line) {
  static const std::vector<std::string_view> beginnings = {
      "tune.",       "busy-polling", "profiling", "noepoll",       "nopoll",           "nosplice",
      "noreuseport", "nokqueue",     "noevports", "nogetaddrinfo", "ssl-dh-param-file"};
  return std::ranges::any_of(beginnings,
                             [&](std::string_view beginning) { return line.key().starts_with(beginning); });
}

/// The option of a section that `line` sets; empty where each line of the kind counts.
std::string haproxy_option_of(const Directive& line) {
  static const std::set<std::string_view> options = {"backlog",
                                                     "balance",
                                                     "ca-base",
                                                     "crt-base",
                                                     "default_backend",
                                                     "gid",
                                                     "group",
                                                     "hard-stop-after",
                                                     "maxconn",
                                                     "mode",
                                                     "nbthread",
                                                     "retries",
                                                     "ssl-default-bind-ciphers",
                                                     "ssl-default-bind-ciphersuites",
                                                     "ssl-default-bind-curves",
                                                     "ssl-server-verify",
                                                     "uid",
                                                     "user"};
  if (line.is("timeout")) return line.key() + ' ' + line.value();
  return options.contains(line.key()) ? line.key() : std::string();
}

class HaproxyImport {
 public:
  Imported read(const ImportSource& source) {
    global_.directory = source.directory;
    sections_ = haproxy_sections(source.text, into_);
    if (sections_.empty())
      into_.lose(1, "there is no section: a HAProxy file has \"frontend\", \"backend\" or \"listen\"");
    for (HaproxySection& section : sections_) {
      if (section.kind == HaproxySectionKind::kGlobal) read_global(section);
    }
    for (HaproxySection& section : sections_) {
      std::vector<const Directive*> lines;
      for (const Directive& line : section.lines) lines.push_back(&line);
      name_replaced(lines, haproxy_option_of, into_);
      read_proxy(section);
    }
    for (const auto& listener : into_.config.listeners) find_conflict(listener);
    for (auto& [defaults, shared] : shared_) {
      shared.of_frontends.settle(haproxy_losses(), into_);
      shared.of_backends.settle(haproxy_losses(), into_);
    }
    if (!speaks_tls_) drop_bind_options();
    for (const HaproxySection& section : sections_) name_section(section);
    return std::move(into_);
  }

 private:
  void read_global(HaproxySection& section) {
    section.header.take_all();
    for (Directive& line : section.lines) {
      if (read_process(line) || read_tls_defaults(line)) {
        line.take(0);
        if (!line.is("ssl-default-bind-options")) line.take(1);
      }
    }
  }

  bool read_process(const Directive& line) {
    const auto number = number_of(line.value());
    if (line.is("user") || line.is("uid")) {
      into_.config.user = line.value();
    } else if (line.is("group") || line.is("gid")) {
      into_.config.group = line.value();
    } else if (line.is("nbthread") && number) {
      into_.config.workers = static_cast<int>(std::min(*number, 1024U));
    } else if (line.is("maxconn") && number) {
      into_.config.limits.max_connections = *number;
    } else if (line.is("maxsslrate") && number) {
      into_.config.limits.handshake_rate = *number;
    } else if (line.is("hard-stop-after")) {
      const auto time = haproxy_time(line.value());
      if (!time) return false;
      into_.config.drain_deadline = *time;
    } else {
      return false;
    }
    return true;
  }

  bool read_tls_defaults(Directive& line) {
    const std::string& value = line.value();
    if (line.is("crt-base")) {
      global_.crt_base = value;
    } else if (line.is("ca-base")) {
      global_.ca_base = value;
    } else if (line.is("ssl-default-bind-ciphers")) {
      global_.ciphers = value;
    } else if (line.is("ssl-default-bind-ciphersuites")) {
      global_.cipher_suites = value;
    } else if (line.is("ssl-default-bind-curves")) {
      global_.curves = value;
    } else if (line.is("ssl-default-bind-options")) {
      global_.bind_options.push_back(&line);
    } else if (line.is("ssl-server-verify") && (value == "none" || value == "required")) {
      global_.verify_servers = value == "required";
    } else {
      return false;
    }
    return true;
  }

  void drop_bind_options() {
    for (Directive* line : global_.bind_options) {
      line->take_all();
      into_.note(line->line(), "ssl-default-bind-options has no effect without a bind with \"ssl\"");
    }
  }

  // --- proxies

  void read_proxy(HaproxySection& section) {
    if (section.kind == HaproxySectionKind::kDefaults) {
      section.header.take(0);
      section.header.take(1);
      defaults_ = &section;
    }
    const bool backs = section.kind == HaproxySectionKind::kBackend;
    const bool fronts = section.kind == HaproxySectionKind::kFrontend;
    const bool listens = section.kind == HaproxySectionKind::kListen;
    if (!backs && !fronts && !listens) return;
    section.header.take(0);
    section.header.take(1);
    HaproxySection* defaults = defaults_of(section);
    if (const HaproxyProxy proxy = proxy_of(section, defaults, nullptr); proxy.is_disabled())
      return leave_out(proxy);
    Shared* shared = defaults == nullptr ? nullptr : &shared_.try_emplace(defaults, *defaults).first->second;
    const bool serves =
        std::ranges::any_of(section.lines, [](const Directive& line) { return line.is("server"); });
    if (backs || (listens && serves))
      import_haproxy_backend(proxy_of(section, defaults, shared ? &shared->of_backends : nullptr), global_,
                             into_);
    if (fronts || listens)
      read_frontend(proxy_of(section, defaults, shared ? &shared->of_frontends : nullptr),
                    listens && serves ? label_of(section.name()) : "");
  }

  /// The `defaults` section that `section` names, or the last one before it; nullptr if there is none.
  HaproxySection* defaults_of(HaproxySection& section) {
    if (section.header.word(2) != "from") return defaults_;
    const auto named = std::ranges::find_if(sections_, [&](const HaproxySection& one) {
      return one.kind == HaproxySectionKind::kDefaults && one.name() == section.header.word(3);
    });
    if (named == sections_.end()) return defaults_;
    section.header.take_all();
    return &*named;
  }

  /// `section` with its lines and those of `defaults`, which are a copy if they are shared with others.
  static HaproxyProxy proxy_of(HaproxySection& section, HaproxySection* defaults, SharedLines* shared) {
    HaproxyProxy proxy{.section = &section, .lines = {}};
    if (shared != nullptr) {
      proxy.lines = shared->copy();
    } else if (defaults != nullptr) {
      add_lines(*defaults, proxy);
    }
    add_lines(section, proxy);
    return proxy;
  }

  static void add_lines(HaproxySection& section, HaproxyProxy& proxy) {
    for (Directive& line : section.lines) {
      proxy.lines.push_back(&line);
      if (line.is("mode", "tcp") || line.is("enabled")) line.take_all();
    }
  }

  void leave_out(const HaproxyProxy& proxy) {
    into_.note(proxy.section->line(), proxy.name() + ": left out, because it is disabled");
    for (Directive& line : proxy.section->lines) line.take_all();
    for (Directive* line : proxy.lines) {
      if (line->is("disabled")) line->take_all();
    }
  }

  /// `own` is the backend of a `listen` section; empty: none.
  void read_frontend(const HaproxyProxy& proxy, const std::string& own) {
    auto listeners = haproxy_listeners(proxy, global_, into_);
    const bool in_header = std::ranges::any_of(
        listeners, [](const config::Listener& one) { return one.proxy_protocol.has_value(); });
    const bool split = listeners.size() > 1;
    SharedLines lines(proxy.lines);
    for (std::size_t index = 0; index < listeners.size(); ++index) {
      config::Listener& listener = listeners[index];
      const HaproxyProxy part{.section = proxy.section, .lines = lines.copy()};
      listener.name = label_of(proxy.name()) + (index > 0 ? "-" + std::to_string(index + 1) : "");
      speaks_tls_ = speaks_tls_ || listener.tls;
      listener.backend = own;
      const std::uint32_t of_bind = std::exchange(listener.limits.max_connections, 0);
      for (Directive* line : part.lines) set_frontend(listener, *line, split);
      std::uint32_t& most = listener.limits.max_connections;
      if (of_bind != 0) most = most == 0 ? of_bind : std::min(most, of_bind);
      set_idle(listener, part);
      add_haproxy_routes(part, listener, into_);
      add_haproxy_sources(part, in_header ? HaproxySources::kInHeader : HaproxySources::kPeer, listener,
                          into_);
      name_unused_acls(part);
      into_.config.listeners.push_back(std::move(listener));
    }
    lines.settle(haproxy_losses(), into_);
  }

  void set_frontend(config::Listener& listener, Directive& line, bool split) {
    const auto number = number_of(line.value());
    if (line.is("maxconn") && number) {
      listener.limits.max_connections = *number;
      if (split) into_.note(line.line(), "maxconn: holds for each listener of the frontend by itself");
    } else if (line.is("backlog") && number) {
      listener.backlog = static_cast<int>(std::clamp(*number, 1U, 65535U));
    } else if (line.is("default_backend") && line.size() > 1) {
      listener.backend = label_of(line.value());
    } else if (line.is("timeout", "client-fin")) {
      if (!set_time(listener.timeouts.half_close, line)) return;
    } else if (line.is("timeout", "client-hs")) {
      if (!set_time(listener.timeouts.handshake, line)) return;
    } else {
      return;
    }
    line.take_all();
  }

  static bool set_time(std::chrono::milliseconds& into, const Directive& line) {
    const auto time = haproxy_time(line.word(2));
    if (!time || time->count() == 0) return false;
    into = *time;
    return true;
  }

  /// `timeout tunnel` replaces `client` and `server` as soon as bytes went both ways.
  static void set_idle(config::Listener& listener, const HaproxyProxy& proxy) {
    for (const std::string_view kind : {"client", "tunnel"}) {
      for (Directive* line : proxy.lines) {
        if (line->is("timeout", kind) && set_time(listener.timeouts.idle, *line)) line->take_all();
      }
    }
    for (Directive* line : proxy.lines) {
      if (line->is("timeout", "server") && haproxy_time(line->word(2)) == listener.timeouts.idle)
        line->take_all();
    }
  }

  /// An ACL that no line uses has no effect.
  void name_unused_acls(const HaproxyProxy& proxy) {
    for (Directive* acl : proxy.lines) {
      if (!acl->is("acl") || !acl->is_untouched()) continue;
      const bool used = std::ranges::any_of(proxy.lines, [acl](const Directive* line) {
        return line != acl && !line->is("acl") &&
               std::ranges::any_of(line->words(), [acl](std::string_view word) {
                 return (word.starts_with('!') ? word.substr(1) : word) == acl->value();
               });
      });
      if (used) continue;
      into_.note(acl->line(), "acl " + acl->value() + ": left out, because no rule uses it");
      acl->take_all();
    }
  }

  /// "[::]:443" is IPv4 too, so another listener cannot have "0.0.0.0:443".
  void find_conflict(const config::Listener& listener) {
    for (const config::Bind& bind : listener.bind) {
      if (!bind.address.is_every_ipv6() || bind.ipv6_only) continue;
      for (const config::Listener& other : into_.config.listeners) {
        const bool conflict = std::ranges::any_of(other.bind, [&bind](const config::Bind& one) {
          return !one.address.is_unix() && one.address.host_text() == "0.0.0.0" &&
                 one.address.port() == bind.address.port();
        });
        if (conflict)
          into_.lose(1, "v4v6: Headgate's listener " + listener.name + " takes IPv4 too, and so " +
                            other.name +
                            " cannot have the same port; bind addresses in place of [::] and 0.0.0.0");
      }
    }
  }

  // --- what is left

  void name_section(const HaproxySection& section) {
    if (section.kind == HaproxySectionKind::kOther) {
      into_.lose(section.line(), "the section " + section.header.key() + " has no equivalent in Headgate");
    } else {
      name_the_rest(section.header, haproxy_losses(), into_);
    }
    for (const Directive& line : section.lines) {
      if (section.kind == HaproxySectionKind::kGlobal && line.is_untouched() && is_tuning(line)) {
        into_.note(line.line(), line.key() + ": left out: it tunes HAProxy");
      } else if (line.is("maxconn") && section.kind != HaproxySectionKind::kGlobal && line.is_untouched()) {
        into_.lose(line.line(), "maxconn: no listener has this limit");
      } else {
        name_the_rest(line, haproxy_losses(), into_);
      }
    }
  }

  /// The lines of a `defaults` section. What a frontend takes is nothing that a backend lacks.
  struct Shared {
    explicit Shared(HaproxySection& defaults)
        : of_frontends(pointers(defaults)), of_backends(pointers(defaults)) {}
    static std::vector<Directive*> pointers(HaproxySection& defaults) {
      std::vector<Directive*> lines;
      for (Directive& line : defaults.lines) lines.push_back(&line);
      return lines;
    }
    SharedLines of_frontends, of_backends;
  };

  Imported into_;
  HaproxyGlobal global_;
  std::vector<HaproxySection> sections_;
  std::map<const HaproxySection*, Shared> shared_;
  HaproxySection* defaults_ = nullptr;
  bool speaks_tls_ = false;
};

}  // namespace

Imported import_haproxy(const ImportSource& source) {
  return HaproxyImport().read(source);
}

}  // namespace headgate
