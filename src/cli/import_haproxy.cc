#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/haproxy_backend.h"
#include "cli/haproxy_file.h"
#include "cli/import.h"
#include "cli/import_words.h"

namespace headgate {
namespace {

/// Words that have no meaning for Headgate, or that it does by itself.
const std::set<std::string_view> kNeedlessWords = {
    "log",         "daemon", "pidfile",         "nbthread",    "stats",   "description",    "option",
    "tcp-request", "no",     "log-format",      "maxconn",     "timeout", "mode",           "balance",
    "server",      "bind",   "default_backend", "use_backend", "acl",     "default-server", "retries",
    "user",        "group",  "ulimit-n",        "log-tag"};

/// The clients that a route is for.
struct Condition {
  std::vector<std::string> sni;
  std::vector<std::string> alpn;
  bool of_hello = false;  ///< req_ssl_sni: of bytes that are not decrypted.
};

class HaproxyImport {
 public:
  Imported read(std::string_view text) {
    const auto sections = haproxy_sections(text);
    std::vector<HaproxyLine> defaults;
    for (const HaproxySection& section : sections) {
      if (section.kind == HaproxySectionKind::kDefaults) defaults = section.lines;
      if (section.kind == HaproxySectionKind::kGlobal) read_global(section);
      if (section.kind == HaproxySectionKind::kOther)
        into_.note(section.line, "the section " + section.name + " has no equivalent in Headgate");
      if (section.kind == HaproxySectionKind::kDefaults || section.kind == HaproxySectionKind::kGlobal)
        continue;
      if (section.kind == HaproxySectionKind::kBackend || section.kind == HaproxySectionKind::kListen)
        import_haproxy_backend(section, defaults, into_);
      if (section.kind == HaproxySectionKind::kFrontend || section.kind == HaproxySectionKind::kListen)
        read_frontend(section, defaults);
    }
    for (const HaproxySection& section : sections) note_unequal(section);
    return std::move(into_);
  }

 private:
  void read_global(const HaproxySection& section) {
    for (const auto& [number, words] : section.lines) {
      const std::string value = words.size() > 1 ? words[1] : std::string();
      if (words[0] == "user") into_.config.user = value;
      if (words[0] == "group") into_.config.group = value;
      if (words[0] == "nbthread")
        into_.config.workers = static_cast<int>(std::min(number_of(value).value_or(0), 1024U));
      if (words[0] == "maxconn")
        into_.note(number,
                   "maxconn: no equivalent in Headgate for the process; use limits.max_connections of each "
                   "listener");
    }
  }

  void note_unequal(const HaproxySection& section) {
    if (section.kind == HaproxySectionKind::kOther) return;
    for (const auto& [number, words] : section.lines) {
      const std::string value = words.size() > 1 ? words[1] : std::string();
      if (words[0] == "mode" && value != "tcp") {
        into_.note(number, "mode " + value + ": Headgate relays the bytes and does not read HTTP");
      } else if (words[0] == "option" && (value == "forwardfor" || value == "httpchk")) {
        into_.note(number, "option " + value +
                               ": no equivalent in Headgate, which does not read HTTP; use send_proxy and a "
                               "tls or tcp health check");
      } else if (!kNeedlessWords.contains(words[0])) {
        into_.note(number, words[0] + ": has no equivalent in Headgate");
      }
    }
  }

  // --- frontends

  /// Lines of `bind` that differ in the address alone become one listener.
  void read_frontend(const HaproxySection& section, const std::vector<HaproxyLine>& defaults) {
    std::map<Words, config::Listener> listeners;
    for (const HaproxyLine& line : section.lines) {
      if (line.words[0] != "bind" || line.words.size() < 2) continue;
      const Words options(line.words.begin() + 2, line.words.end());
      const auto [at, fresh] = listeners.try_emplace(options);
      config::Listener& listener = at->second;
      if (fresh) {
        listener.name =
            label_of(section.name) + (listeners.size() > 1 ? "-" + std::to_string(listeners.size()) : "");
        set_bind(listener, line);
      }
      for (const std::string& address : parts_of(line.words[1], ","))
        add_bind(into_, listener, without_family(address), line.number);
    }
    for (auto& [options, listener] : listeners) {
      for (const HaproxyLine& line : defaults) set_frontend(listener, line);
      for (const HaproxyLine& line : section.lines) set_frontend(listener, line);
      if (section.kind == HaproxySectionKind::kListen) listener.backend = label_of(section.name);
      add_routes(listener, section);
      into_.config.listeners.push_back(std::move(listener));
    }
  }

  static std::string_view without_family(std::string_view address) {
    for (const std::string_view prefix : {"ipv4@", "ipv6@", "unix@"}) {
      if (address.starts_with(prefix)) return address.substr(prefix.size());
    }
    return address;
  }

  void set_bind(config::Listener& listener, const HaproxyLine& line) {
    if (std::ranges::find(line.words, "ssl") != line.words.end()) listener.tls.emplace();
    config::Tls unused;
    HaproxyOptions options(line.words, 2);
    for (std::string word; options.next(word);) {
      if (word == "ssl" || word == "v4v6" || word == "v6only" || word == "defer-accept" ||
          word == "no-sslv3" || word.starts_with("no-tlsv1")) {
        continue;
      }
      if (word == "accept-proxy") {
        into_.note(line.number,
                   "accept-proxy: set to 127.0.0.0/8 alone; name your balancers in proxy_protocol.from");
        listener.proxy_protocol.emplace().from = {Network::parse("127.0.0.0/8").value_or(Network())};
      } else if (word == "backlog") {
        listener.backlog = static_cast<int>(std::min(number_of(options.value()).value_or(4096), 65535U));
      } else if (word == "maxconn") {
        listener.limits.max_connections = number_of(options.value()).value_or(0);
      } else if (!set_bind_tls(listener.tls ? *listener.tls : unused, word, options, line.number)) {
        into_.note(line.number, "bind: no equivalent in Headgate for " + word);
      }
    }
  }

  bool set_bind_tls(config::Tls& tls, const std::string& word, HaproxyOptions& options, int line) {
    static const std::set<std::string_view> flags = {"no-tls-tickets", "strict-sni"};
    if (word == "no-tls-tickets") tls.resumption.tickets = false;
    if (word == "strict-sni") tls.unknown_name = config::UnknownName::kReject;
    if (flags.contains(word)) return true;
    static const std::set<std::string_view> known = {"crt",          "alpn",   "npn",         "ca-file",
                                                     "crl-file",     "verify", "ciphers",     "curves",
                                                     "ciphersuites", "ecdhe",  "ssl-min-ver", "ssl-max-ver"};
    if (!known.contains(word)) return false;
    const std::string value = options.value();
    config::ClientAuth& auth = tls.client_auth;
    if (word == "crt") add_certificate(tls, value);
    if (word == "alpn") tls.alpn = parts_of(value, ",");
    if (word == "ca-file") auth.ca = value;
    if (word == "crl-file") auth.crl = value;
    if (word == "verify" && value == "required") auth.mode = config::ClientAuthMode::kRequired;
    if (word == "verify" && value == "optional") auth.mode = config::ClientAuthMode::kOptional;
    if (word == "ciphers") tls.ciphers = value;
    if (word == "ciphersuites") tls.cipher_suites = parts_of(value, ":");
    if (word == "curves" || word == "ecdhe") tls.groups = groups_of(value);
    if (word == "ssl-min-ver" || word == "ssl-max-ver") {
      const auto version = tls_version_of(value);
      if (!version) into_.note(line, word + " " + value + ": Headgate speaks TLS 1.2 and 1.3 alone");
      if (version) (word == "ssl-min-ver" ? tls.min_version : tls.max_version) = *version;
    }
    return true;
  }

  static void add_certificate(config::Tls& tls, const std::string& path) {
    std::error_code unknown;
    if (path.ends_with('/') || std::filesystem::is_directory(path, unknown)) {
      tls.certificate_dirs.push_back(path);
    } else {
      tls.certificates.push_back({.certificate = path, .private_key = {}, .ocsp_staple = {}});
    }
  }

  static void set_frontend(config::Listener& listener, const HaproxyLine& line) {
    const Words& words = line.words;
    if (words[0] == "maxconn" && words.size() > 1)
      listener.limits.max_connections = number_of(words[1]).value_or(0);
    if (words[0] == "default_backend" && words.size() > 1) listener.backend = label_of(words[1]);
    if (words[0] != "timeout" || words.size() < 3) return;
    const auto time = haproxy_time(words[2]);
    if (!time || *time == std::chrono::milliseconds(0)) return;
    if (words[1] == "client" || words[1] == "tunnel") listener.timeouts.idle = *time;
    if (words[1] == "client-fin") listener.timeouts.half_close = *time;
    if (words[1] == "client-hs") listener.timeouts.handshake = *time;
  }

  // --- routes

  void add_routes(config::Listener& listener, const HaproxySection& section) {
    for (const HaproxyLine& line : section.lines) {
      if (line.words[0] != "use_backend" || line.words.size() < 2) continue;
      const auto condition = condition_of(line, section);
      if (!condition) {
        into_.note(
            line.number,
            "use_backend " + line.words[1] +
                ": only one condition on the name (ssl_fc_sni, req_ssl_sni) or on ssl_fc_alpn has an equal");
        continue;
      }
      if (!listener.tls && !condition->of_hello) {
        into_.note(line.number, "use_backend " + line.words[1] +
                                    ": left out where plaintext comes in, as at " + listener.name +
                                    ": it never matches");
        continue;
      }
      listener.routes.push_back({.sni = condition->sni,
                                 .alpn = condition->alpn,
                                 .spiffe = {},
                                 .passthrough = condition->of_hello && !listener.tls,
                                 .backend = label_of(line.words[1])});
    }
    const bool passes =
        std::ranges::any_of(listener.routes, [](const config::Route& route) { return route.passthrough; });
    if (passes) pass_the_rest(listener, section.line);
  }

  /// Without a certificate the other connections cannot be terminated either: they pass through to the
  /// default.
  void pass_the_rest(config::Listener& listener, int line) {
    listener.tls.emplace();
    if (listener.backend.empty()) return;
    listener.routes.push_back({.sni = {"*"},
                               .alpn = {},
                               .spiffe = {},
                               .passthrough = true,
                               .backend = std::exchange(listener.backend, {})});
    into_.note(
        line,
        "clients that send no server name are refused, because nothing says where their TLS should pass to");
  }

  /// "if { FETCH [-i] [-m str|end] NAME... }" or "if ACL".
  static std::optional<Condition> condition_of(const HaproxyLine& line, const HaproxySection& section) {
    const Words& words = line.words;
    if (words.size() < 4 || words[2] != "if") return std::nullopt;
    if (words[3] == "{") {
      if (words.back() != "}" || std::ranges::count(words, "}") != 1) return std::nullopt;
      return condition_of(Words(words.begin() + 4, words.end() - 1));
    }
    if (words.size() != 4) return std::nullopt;
    Condition all;
    bool found = false;
    for (const HaproxyLine& acl : section.lines) {
      if (acl.words[0] != "acl" || acl.words.size() < 3 || acl.words[1] != words[3]) continue;
      const auto one = condition_of(Words(acl.words.begin() + 2, acl.words.end()));
      if (!one || (found && one->sni.empty() != all.sni.empty())) return std::nullopt;
      found = true;
      all.sni.insert(all.sni.end(), one->sni.begin(), one->sni.end());
      all.alpn.insert(all.alpn.end(), one->alpn.begin(), one->alpn.end());
      all.of_hello = one->of_hello;
    }
    return found ? std::optional(all) : std::nullopt;
  }

  static std::optional<Condition> condition_of(const Words& test) {
    if (test.size() < 2) return std::nullopt;
    std::string fetch = test[0].substr(0, test[0].find(','));
    bool ends = fetch.ends_with("_end");
    if (ends) fetch.resize(fetch.size() - 4);
    Condition condition{.sni = {}, .alpn = {}, .of_hello = fetch == "req_ssl_sni" || fetch == "req.ssl_sni"};
    if (!condition.of_hello && fetch != "ssl_fc_sni" && fetch != "ssl_fc_alpn") return std::nullopt;
    auto& values = fetch == "ssl_fc_alpn" ? condition.alpn : condition.sni;
    for (std::size_t i = 1; i < test.size(); ++i) {
      if (test[i] == "-i" || test[i] == "--") continue;
      if (test[i] == "-m" && i + 1 < test.size() && (test[i + 1] == "end" || test[i + 1] == "str")) {
        ends = test[++i] == "end";
      } else if (test[i].starts_with('-') || (ends && !test[i].starts_with('.'))) {
        return std::nullopt;
      } else {
        values.push_back((ends ? "*" : "") + lower_case(test[i]));
      }
    }
    return values.empty() ? std::nullopt : std::optional(condition);
  }

  Imported into_;
};

}  // namespace

Imported import_haproxy(std::string_view text) {
  return HaproxyImport().read(text);
}

}  // namespace headgate
