#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/import.h"
#include "cli/import_words.h"

namespace headgate {
namespace {

/// An option of a service, with the line it stands on.
struct StunnelOption {
  int line = 0;
  std::string value;
};

/// A service's options by their names in lower case, with those of the file's head.
struct StunnelService {
  int line = 0;
  std::string name;
  std::multimap<std::string, StunnelOption> options;

  /// The last one wins, as in stunnel.
  [[nodiscard]] const StunnelOption* find(const std::string& key) const {
    const auto [begin, end] = options.equal_range(key);
    return begin == end ? nullptr : &std::prev(end)->second;
  }
  [[nodiscard]] std::string value(const std::string& key) const {
    const StunnelOption* option = find(key);
    return option == nullptr ? std::string() : option->value;
  }
  [[nodiscard]] bool yes(const std::string& key) const { return is_yes(value(key)); }
  [[nodiscard]] bool asks_for_certificate() const {
    const auto level = number_of(value("verify"));
    return yes("verifychain") || yes("verifypeer") || (level && *level >= 1 && *level <= 4);
  }
  /// Level 1 of the old `verify` accepts a peer without a certificate.
  [[nodiscard]] bool believes_nobody() const {
    const auto level = number_of(value("verify"));
    return yes("requirecert") || (level && *level >= 2 && *level <= 4);
  }
};

/// Options that are read below, that Headgate does by itself, or for how stunnel starts.
const std::set<std::string_view> kKnown = {
    "foreground",     "output",       "pid",         "syslog",        "debug",         "socket",
    "renegotiation",  "reset",        "log",         "sslversionmin", "sslversionmax", "sslversion",
    "accept",         "connect",      "cert",        "key",           "cafile",        "verify",
    "verifychain",    "requirecert",  "client",      "sni",           "protocol",      "timeoutidle",
    "timeoutconnect", "timeoutclose", "timeoutbusy", "ciphers",       "ciphersuites",  "curve",
    "curves",         "checkhost",    "checkip",     "failover",      "crlfile",       "setuid",
    "setgid",         "delay",        "options",     "service",       "rndfile",       "rndbytes",
    "rndoverwrite",   "egd",          "fips"};

const std::map<std::string_view, std::string_view> kOptionsWithoutEqual = {
    {"capath", "no equivalent in Headgate: put the CAs in one file"},
    {"chroot", "no equivalent in Headgate: the sandbox (Landlock, seccomp) takes its place"},
    {"exec", "no equivalent in Headgate: run the program as a service of its own and name its address"},
    {"verifypeer",
     "no equivalent in Headgate to pinning by CAfile: pin with client_auth.allow.fingerprint, or a CA of "
     "their own"},
    {"ticketkeysecret", "no equivalent in Headgate: use resumption.secret_file (headgate ticket-key new)"},
    {"ticketmacsecret", "no equivalent in Headgate: use resumption.secret_file (headgate ticket-key new)"},
    {"sessioncachetimeout", "no equivalent in Headgate: sessions live in tickets; see resumption.lifetime"},
    {"sessioncachesize", "no equivalent in Headgate: sessions live in tickets"},
    {"ocsp", "no equivalent in Headgate, which asks no OCSP responder: give client_auth.crl"},
    {"include", "the files of that directory are not read: import them one by one"},
    {"psksecrets", "no equivalent in Headgate, which has no pre-shared keys"},
    {"transparent", "no equivalent in Headgate: tell the backend the source with send_proxy"},
};

std::optional<StarttlsProtocol> starttls_of(const std::string& protocol) {
  if (protocol == "pgsql") return StarttlsProtocol::kPostgres;
  if (protocol == "smtp") return StarttlsProtocol::kSmtp;
  if (protocol == "imap") return StarttlsProtocol::kImap;
  if (protocol == "pop3") return StarttlsProtocol::kPop3;
  if (protocol == "ldap") return StarttlsProtocol::kLdap;
  return std::nullopt;
}

class StunnelImport {
 public:
  Imported read(std::string_view text) {
    split(text);
    set_process(head_);
    for (const StunnelService& service : services_) note_unequal(service);
    note_unequal(head_);
    for (StunnelService& service : services_) {
      service.options.insert(head_.options.begin(), head_.options.end());
      reorder(service);
      const std::string sni = service.value("sni");
      if (!service.yes("client") && sni.find(':') != sni.npos) continue;
      add_service(service);
    }
    for (const StunnelService& service : services_) add_name(service);
    return std::move(into_);
  }

 private:
  void split(std::string_view text) {
    StunnelService* service = &head_;
    for (const auto& [number, line] : lines_of(text)) {
      if (line.empty() || line.front() == ';' || line.front() == '#') continue;
      if (line.front() == '[') {
        services_.push_back({number, std::string(trimmed(line.substr(1, line.find(']') - 1))), {}});
        service = &services_.back();
        continue;
      }
      const std::size_t equals = std::min(line.find('='), line.size());
      const std::string key = lower_case(trimmed(line.substr(0, equals)));
      const std::string_view value = trimmed(line.substr(std::min(equals + 1, line.size())));
      service->options.emplace(key, StunnelOption{number, std::string(value)});
    }
  }

  /// The head's options come before the service's own, so that the latter are the last.
  static void reorder(StunnelService& service) {
    for (auto at = service.options.begin(); at != service.options.end();) {
      const auto end = service.options.upper_bound(at->first);
      std::vector<StunnelOption> sorted;
      for (auto one = at; one != end; ++one) sorted.push_back(one->second);
      std::ranges::stable_sort(sorted, {}, &StunnelOption::line);
      for (std::size_t i = 0; at != end; ++at, ++i) at->second = sorted[i];
    }
  }

  void note_unequal(const StunnelService& service) {
    for (const auto& [key, option] : service.options) {
      if (kKnown.contains(key)) continue;
      const auto known = kOptionsWithoutEqual.find(key);
      into_.note(option.line,
                 key + ": " +
                     std::string(known == kOptionsWithoutEqual.end() ? "has no equivalent in Headgate"
                                                                     : known->second));
    }
  }

  void set_process(const StunnelService& head) {
    into_.config.user = head.value("setuid");
    into_.config.group = head.value("setgid");
  }

  void add_service(const StunnelService& service) {
    config::Listener listener;
    config::Backend backend;
    listener.name = listener.backend = backend.name = label_of(service.name);
    if (const auto* accept = service.find("accept")) {
      add_bind(into_, listener, accept->value, accept->line);
    } else {
      into_.note(service.line,
                 "[" + service.name +
                     "]: no equivalent in Headgate for a service without \"accept\", which inetd starts");
      return;
    }
    set_servers(service, backend);
    set_timeouts(service, listener, backend);
    if (service.yes("client")) {
      originate(service, backend);
    } else {
      terminate(service, listener, backend);
    }
    into_.config.backends.emplace(backend.name, backend);
    into_.config.listeners.push_back(std::move(listener));
  }

  /// A service with `sni = OTHER:NAME` answers for that name at the listener of OTHER.
  void add_name(const StunnelService& service) {
    const StunnelOption* sni = service.find("sni");
    if (sni == nullptr || service.yes("client")) return;
    const std::size_t colon = sni->value.find(':');
    if (colon == std::string::npos) return;
    const std::string master = label_of(trimmed(std::string_view(sni->value).substr(0, colon)));
    const auto listener = std::ranges::find(into_.config.listeners, master, &config::Listener::name);
    if (listener == into_.config.listeners.end() || !listener->tls) {
      into_.note(sni->line, "sni: there is no service \"" + master + "\" with TLS");
      return;
    }
    config::Backend backend;
    backend.name = label_of(service.name);
    set_servers(service, backend);
    listener->routes.push_back({.sni = {std::string(trimmed(std::string_view(sni->value).substr(colon + 1)))},
                                .alpn = {},
                                .spiffe = {},
                                .passthrough = false,
                                .backend = backend.name});
    add_certificate(service, *listener->tls);
    if (service.asks_for_certificate())
      into_.note(sni->line,
                 "sni: no equivalent in Headgate for a client certificate of one name alone; the listener "
                 "sets whether "
                 "clients need one");
    into_.config.backends.emplace(backend.name, std::move(backend));
  }

  void set_servers(const StunnelService& service, config::Backend& backend) {
    const auto [begin, end] = service.options.equal_range("connect");
    for (auto one = begin; one != end; ++one) {
      const std::string address = server_of(one->second.value);
      if (std::ranges::find(backend.servers, address, &config::Server::address) == backend.servers.end())
        backend.servers.push_back({.address = address});
    }
    if (backend.servers.size() > 1 && service.value("failover") == "prio") {
      into_.note(service.find("failover")->line,
                 "failover: no equivalent in Headgate for prio; the servers take turns");
    }
  }

  static std::optional<std::chrono::seconds> seconds_of(const StunnelService& service,
                                                        const std::string& key) {
    const auto number = number_of(service.value(key));
    if (!number || *number == 0) return std::nullopt;
    return std::chrono::seconds(*number);
  }

  static void set_timeouts(const StunnelService& service, config::Listener& listener,
                           config::Backend& backend) {
    listener.timeouts.idle = std::chrono::hours(12);  // as stunnel has it
    if (const auto idle = seconds_of(service, "timeoutidle")) listener.timeouts.idle = *idle;
    if (const auto busy = seconds_of(service, "timeoutbusy")) listener.timeouts.handshake = *busy;
    if (const auto close = seconds_of(service, "timeoutclose")) listener.timeouts.half_close = *close;
    if (const auto connect = seconds_of(service, "timeoutconnect")) backend.connect_timeout = *connect;
  }

  static void add_certificate(const StunnelService& service, config::Tls& tls) {
    const std::string file = service.value("cert");
    const bool there = std::ranges::find(tls.certificates, file, &config::Certificate::certificate) !=
                       tls.certificates.end();
    if (file.empty() || there) return;
    tls.certificates.push_back({.certificate = file, .private_key = service.value("key"), .ocsp_staple = {}});
  }

  void terminate(const StunnelService& service, config::Listener& listener, config::Backend& backend) {
    config::Tls& tls = listener.tls.emplace();
    add_certificate(service, tls);
    set_algorithms(service, tls);
    if (service.asks_for_certificate()) {
      tls.client_auth.mode =
          service.believes_nobody() ? config::ClientAuthMode::kRequired : config::ClientAuthMode::kOptional;
      tls.client_auth.ca = service.value("cafile");
      tls.client_auth.crl = service.value("crlfile");
    }
    const StunnelOption* protocol = service.find("protocol");
    if (protocol == nullptr) return;
    if (protocol->value == "proxy") {
      backend.send_proxy = config::SendProxy::kV1;
    } else if (const auto starttls = starttls_of(protocol->value)) {
      listener.starttls = starttls;
    } else {
      into_.note(protocol->line, "protocol: no equivalent in Headgate for " + protocol->value);
    }
  }

  void set_algorithms(const StunnelService& service, config::Tls& tls) {
    tls.ciphers = service.value("ciphers");
    tls.cipher_suites = parts_of(service.value("ciphersuites"), ":");
    for (const char* key : {"curve", "curves"}) {
      if (service.find(key) != nullptr) tls.groups = groups_of(service.value(key));
    }
    if (const auto* only = service.find("sslversion"); only != nullptr && lower_case(only->value) != "all")
      set_versions(into_, tls, {only->value}, only->line);
    if (const auto* least = service.find("sslversionmin")) set_bound(tls.min_version, *least);
    if (const auto* most = service.find("sslversionmax")) set_bound(tls.max_version, *most);
    const auto [begin, end] = service.options.equal_range("options");
    for (auto one = begin; one != end; ++one) set_option(tls, one->second);
  }

  void set_bound(config::TlsVersion& bound, const StunnelOption& option) {
    if (const auto version = tls_version_of(option.value)) {
      bound = *version;
    } else if (lower_case(option.value) != "all") {
      into_.note(option.line, "\"" + option.value + "\": Headgate speaks TLS 1.2 and 1.3 alone");
    }
  }

  void set_option(config::Tls& tls, const StunnelOption& option) {
    if (option.value == "NO_TLSv1.2") {
      tls.min_version = config::TlsVersion::kTls13;
    } else if (option.value == "NO_TLSv1.3") {
      tls.max_version = config::TlsVersion::kTls12;
    } else if (option.value == "NO_TICKET") {
      tls.resumption.tickets = false;
    } else if (!option.value.starts_with("NO_SSL") && !option.value.starts_with("NO_TLSv1") &&
               option.value != "CIPHER_SERVER_PREFERENCE" && option.value != "NO_RENEGOTIATION") {
      into_.note(option.line, "options: no equivalent in Headgate for " + option.value);
    }
  }

  void originate(const StunnelService& service, config::Backend& backend) {
    config::BackendTls& tls = backend.tls.emplace();
    tls.server_name = service.value("sni");
    for (const char* key : {"checkip", "checkhost"}) {
      if (service.find(key) != nullptr) tls.server_name = service.value(key);
    }
    tls.certificate = service.value("cert");
    tls.private_key = tls.certificate.empty() ? std::string() : service.value("key");
    if (!service.value("cafile").empty()) tls.ca = service.value("cafile");
    tls.verify = service.asks_for_certificate();
    if (tls.verify && service.find("checkhost") == nullptr && service.find("checkip") == nullptr) {
      into_.note(service.line, "[" + service.name +
                                   "]: the server's name is verified too, which stunnel does not "
                                   "without checkHost; set tls.server_name if it differs from the address");
    }
    if (!tls.verify)
      into_.note(service.line, "[" + service.name + "]: verifies no server; turn tls.verify on");
    set_client_protocol(service, tls);
    for (const char* key :
         {"ciphers", "ciphersuites", "curves", "sslversion", "sslversionmin", "sslversionmax", "crlfile"}) {
      if (const auto* option = service.find(key))
        into_.note(option->line, std::string(key) + ": has no equivalent in Headgate towards backends");
    }
  }

  void set_client_protocol(const StunnelService& service, config::BackendTls& tls) {
    const StunnelOption* protocol = service.find("protocol");
    if (protocol == nullptr) return;
    if (const auto starttls = starttls_of(protocol->value)) {
      tls.starttls = starttls;
    } else {
      into_.note(protocol->line, "protocol: no equivalent in Headgate for " + protocol->value);
    }
  }

  Imported into_;
  StunnelService head_;
  std::vector<StunnelService> services_;
};

}  // namespace

Imported import_stunnel(std::string_view text) {
  return StunnelImport().read(text);
}

}  // namespace headgate
