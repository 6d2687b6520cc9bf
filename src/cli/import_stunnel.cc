#include <algorithm>
#include <chrono>
#include <deque>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ascii.h"
#include "cli/import.h"
#include "cli/import_directive.h"
#include "cli/import_words.h"

namespace headgate {
namespace {

/// Options that change neither access nor TLS nor where a connection goes, and what to do in the place of
/// some that do. Every other option that is not taken over is a rule.
const KnownLosses& stunnel_losses() {
  static const KnownLosses losses = {
      {"foreground", kOwnWay},
      {"output", kOwnLog},
      {"pid", kOwnWay},
      {"syslog", kOwnLog},
      {"debug", kOwnLog},
      {"log", kOwnLog},
      {"logid", kOwnLog},
      {"service", kOwnLog},
      {"reset", kOwnWay},
      {"renegotiation", kOwnWay},
      {"delay", kOwnWay},
      {"retry", kOwnWay},
      {"stack", kOwnWay},
      {"rndfile", kOwnWay},
      {"rndbytes", kOwnWay},
      {"rndoverwrite", kOwnWay},
      {"egd", kOwnWay},
      {"taskbar", kOwnWay},
      {"iconactive", kOwnWay},
      {"iconerror", kOwnWay},
      {"iconidle", kOwnWay},
      {"sessioncachesize", kOwnWay},
      {"chroot",
       {Loss::kHarmless, "no equivalent in Headgate: the sandbox (Landlock, seccomp) takes its place"}},
      {"capath", {Loss::kRule, "no equivalent in Headgate: put the CAs in one file"}},
      {"crlpath", {Loss::kRule, "no equivalent in Headgate: put the lists in one file"}},
      {"exec",
       {Loss::kRule,
        "no equivalent in Headgate: run the program as a service of its own and name its address"}},
      {"ticketkeysecret",
       {Loss::kRule, "no equivalent in Headgate: use resumption.secret_file (headgate ticket-key new)"}},
      {"ticketmacsecret",
       {Loss::kRule, "no equivalent in Headgate: use resumption.secret_file (headgate ticket-key new)"}},
      {"ocsp",
       {Loss::kRule, "no equivalent in Headgate, which asks no OCSP responder: give client_auth.crl"}},
      {"ocspaia",
       {Loss::kRule, "no equivalent in Headgate, which asks no OCSP responder: give client_auth.crl"}},
      {"include", {Loss::kRule, "the files of that directory are not read: import them one by one"}},
      {"psksecrets", {Loss::kRule, "no equivalent in Headgate, which has no pre-shared keys"}},
      {"pskidentity", {Loss::kRule, "no equivalent in Headgate, which has no pre-shared keys"}},
      {"transparent",
       {Loss::kRule,
        "not carried over: write `source: client` in the backend, or `transparent: on` in the listener"}},
      {"libwrap",
       {Loss::kRule, "no equivalent in Headgate: write the networks of hosts.allow in allow and deny"}},
      {"setuid", {Loss::kRule, "no equivalent in Headgate for the owner of one service's socket"}},
      {"setgid", {Loss::kRule, "no equivalent in Headgate for the group of one service's socket"}},
  };
  return losses;
}

/// A section, with the options of the file's head that hold in it.
struct StunnelService {
  int line = 0;
  std::string name;
  std::deque<Directive> own;
  std::vector<Directive*> options;  ///< Those of the head first.

  /// All options `key`.
  [[nodiscard]] std::vector<Directive*> all(std::string_view key) const {
    std::vector<Directive*> found;
    std::ranges::copy_if(options, std::back_inserter(found),
                         [key](const Directive* one) { return ascii_lower(one->key()) == key; });
    return found;
  }
  /// The last option `key`, which holds; nullptr if there is none.
  [[nodiscard]] Directive* find(std::string_view key) const {
    const auto found = all(key);
    return found.empty() ? nullptr : found.back();
  }
  [[nodiscard]] std::string look(std::string_view key) const {
    const Directive* option = find(key);
    return option == nullptr ? std::string() : option->value();
  }
  [[nodiscard]] bool yes(std::string_view key) const { return switch_of(look(key)) == true; }
  /// The value of the last option `key`, which is then taken; those that it replaces are, too.
  std::string take(std::string_view key) {
    for (Directive* option : all(key)) option->take_all();
    return look(key);
  }
};

/// What a service asks of the other side's certificate.
struct StunnelVerification {
  bool asks = false;  ///< It looks at a certificate that is sent.
  bool requires_one = false;
  bool pins = false;   ///< The certificate itself must be in CAfile.
  bool chain = false;  ///< A CA of CAfile must have signed it.
};

std::optional<StarttlsProtocol> starttls_of(const std::string& protocol) {
  if (protocol == "pgsql") return StarttlsProtocol::kPostgres;
  if (protocol == "smtp") return StarttlsProtocol::kSmtp;
  if (protocol == "imap") return StarttlsProtocol::kImap;
  if (protocol == "pop3") return StarttlsProtocol::kPop3;
  if (protocol == "ldap") return StarttlsProtocol::kLdap;
  return std::nullopt;
}

/// The option that a line sets; empty for those of which each line counts.
std::string stunnel_option_of(const Directive& line) {
  static const std::set<std::string_view> lists = {"connect",  "checkhost", "checkemail", "checkip",
                                                   "options",  "sni",       "caengine",   "config",
                                                   "ocspflag", "socket",    "include"};
  return lists.contains(ascii_lower(line.key())) ? std::string() : ascii_lower(line.key());
}

class StunnelImport {
 public:
  Imported read(const ImportSource& source) {
    directory_ = source.directory;
    split(source.text);
    if (services_.empty())
      into_.lose(1, "there is no service: a stunnel file has sections like \"[https]\" with \"accept\"");
    set_process();
    share_head();
    for (StunnelService& service : services_) {
      if (!is_named(service)) add_service(service);
    }
    for (StunnelService& service : services_) {
      if (is_named(service)) add_name(service);
    }
    shared_->settle(stunnel_losses(), into_);
    for (const Directive& option : head_) name_the_rest(option, stunnel_losses(), into_);
    for (const StunnelService& service : services_) {
      for (const Directive& option : service.own) name_the_rest(option, stunnel_losses(), into_);
    }
    return std::move(into_);
  }

 private:
  void split(std::string_view text) {
    std::deque<Directive>* options = &head_;
    for (const auto& [number, line] : lines_of(text)) {
      if (line.empty() || line.front() == ';' || line.front() == '#') continue;
      if (line.front() == '[') {
        if (line.find(']') + 1 != line.size())
          into_.lose(number, "a service is a line like \"[https]\", with nothing behind it");
        const std::string_view name = line.substr(1, line.find(']') - 1);
        services_.push_back({number, std::string(trimmed(name)), {}, {}});
        options = &services_.back().own;
        continue;
      }
      const std::size_t equals = line.find('=');
      if (equals == std::string_view::npos) {
        into_.lose(number, "a line without \"=\" is no option");
        continue;
      }
      options->emplace_back(number, Words{std::string(trimmed(line.substr(0, equals))),
                                          std::string(trimmed(line.substr(equals + 1)))});
    }
    name_replaced_options(head_);
    for (const StunnelService& service : services_) name_replaced_options(service.own);
  }

  void name_replaced_options(const std::deque<Directive>& options) {
    std::vector<const Directive*> lines;
    for (const Directive& option : options) lines.push_back(&option);
    name_replaced(lines, stunnel_option_of, into_);
  }

  /// Gives each service the options of the head and its own.
  void share_head() {
    std::vector<Directive*> lines;
    for (Directive& option : head_) lines.push_back(&option);
    shared_.emplace(std::move(lines));
    for (StunnelService& service : services_) {
      service.options = shared_->copy();
      for (Directive& option : service.own) service.options.push_back(&option);
    }
  }

  void set_process() {
    for (Directive& option : head_) {
      const std::string key = ascii_lower(option.key());
      if (key == "setuid") into_.config.user = option.value();
      if (key == "setgid") into_.config.group = option.value();
      if (key == "setuid" || key == "setgid" || is_what_headgate_does(option)) option.take_all();
      if (key == "socket") set_sockets(option);
    }
  }

  /// Options of sockets tune them, but for two: "a:SO_BINDTODEVICE=eth0" and "a:IPV6_V6ONLY=yes".
  void set_sockets(Directive& option) {
    constexpr std::string_view kOnlyIpv6 = "a:IPV6_V6ONLY=";
    const std::string_view value = option.value();
    if (value.find("SO_BINDTODEVICE") != std::string_view::npos) return;
    if (value.starts_with(kOnlyIpv6)) {
      const std::string_view set = value.substr(kOnlyIpv6.size());
      only_ipv6_ = set != "no" && set != "0";
    } else {
      into_.note(option.line(), "socket: left out: it tunes sockets");
    }
    option.take_all();
  }

  /// Options with the only value that Headgate has.
  static bool is_what_headgate_does(const Directive& option) {
    const std::string key = ascii_lower(option.key());
    if (key == "compression") return true;  // Headgate has none: nothing is compressed
    return (key == "libwrap" || key == "fips" || key == "ocspaia" || key == "pty") &&
           switch_of(option.value()) == false;
  }

  /// Whether it is a name of another service: "sni = SERVICE:PATTERN".
  static bool is_named(const StunnelService& service) {
    return !service.yes("client") && service.look("sni").find(':') != std::string::npos;
  }

  std::string path(const std::string& text) const { return path_below(directory_, text); }

  /// A label that no listener and no backend has yet.
  std::string fresh_label(const std::string& name) const {
    const std::string label = label_of(name);
    const auto is_taken = [&](const std::string& text) {
      return into_.config.backends.contains(text) ||
             std::ranges::find(into_.config.listeners, text, &config::Listener::name) !=
                 into_.config.listeners.end();
    };
    std::string fresh = label;
    for (int number = 2; is_taken(fresh); ++number) fresh = label + "-" + std::to_string(number);
    return fresh;
  }

  void add_service(StunnelService& service) {
    config::Listener listener;
    config::Backend backend;
    listener.name = listener.backend = backend.name = fresh_label(service.name);
    if (service.find("accept") == nullptr) {
      into_.lose(service.line,
                 "[" + service.name +
                     "]: no equivalent in Headgate for a service without \"accept\", which inetd "
                     "starts");
      return;
    }
    const int line = service.find("accept")->line();
    add_bind(into_, listener, service.take("accept"), AnyAddress::kIpv4, line);
    if (only_ipv6_) keep_to_ipv6(listener.bind);
    take_common(service, listener, backend);
    if (service.yes("client")) {
      originate(service, backend);
    } else {
      terminate(service, listener, backend);
    }
    listeners_of_services_.emplace(service.name, listener.name);
    into_.config.listeners.push_back(std::move(listener));
    into_.config.backends.emplace(backend.name, std::move(backend));
  }

  void take_common(StunnelService& service, config::Listener& listener, config::Backend& backend) {
    for (Directive* option : service.options) {
      if (is_what_headgate_does(*option)) option->take_all();
    }
    if (switch_of(service.look("client"))) service.take("client");
    set_servers(service, backend);
    set_timeouts(service, listener, backend);
  }

  /// A service with `sni = MASTER:PATTERN` is a route of the master's listener.
  void add_name(StunnelService& service) {
    config::Backend backend;
    config::Listener own;
    backend.name = fresh_label(service.name);
    take_common(service, own, backend);
    bool routed = false;
    for (Directive* sni : service.all("sni")) {
      const std::size_t colon = std::min(sni->value().find(':'), sni->value().size());
      config::Listener* master = find_master(std::string(trimmed(sni->value().substr(0, colon))));
      if (master == nullptr || colon == sni->value().size()) {
        into_.lose(sni->line(), "sni: there is no service with TLS that it names");
      } else {
        config::Route route;
        route.sni = {ascii_lower(trimmed(std::string_view(sni->value()).substr(colon + 1)))};
        route.backend = backend.name;
        name_wildcard(route.sni.front(), sni->line());
        master->routes.push_back(std::move(route));
        if (own.timeouts != master->timeouts) name_times(service);
        if (!routed) join(service, *master, sni->line());
        routed = true;
      }
      sni->take_all();
    }
    if (routed) into_.config.backends.emplace(backend.name, std::move(backend));
  }

  void name_times(const StunnelService& service) {
    for (const std::string_view key : {"timeoutidle", "timeoutbusy", "timeoutclose"}) {
      if (const Directive* option = service.find(key))
        into_.lose(option->line(),
                   option->key() + ": for one name alone: Headgate has those of the listener");
    }
  }

  void name_wildcard(const std::string& pattern, int line) {
    if (pattern.find('*') != std::string::npos)
      into_.lose(line, "sni: \"*\" stands for one label in Headgate, and for more in stunnel");
  }

  config::Listener* find_master(const std::string& service) {
    const auto name = listeners_of_services_.find(service);
    if (name == listeners_of_services_.end()) return nullptr;
    const auto found = std::ranges::find(into_.config.listeners, name->second, &config::Listener::name);
    return found == into_.config.listeners.end() || !found->tls ? nullptr : &*found;
  }

  /// The rules of a name of its own, which Headgate has for the whole listener: the strictest hold.
  void join(StunnelService& service, config::Listener& master, int line) {
    config::Tls own;
    add_certificate(service, own);
    for (const config::Certificate& one : own.certificates) add_if_new(master.tls->certificates, one);
    set_client_auth(service, own.client_auth);
    config::ClientAuth& auth = master.tls->client_auth;
    if (own.client_auth != auth) {
      into_.lose(
          line,
          "sni: a rule on client certificates for one name alone: the strictest holds for all clients of "
          "the listener");
      const auto mode = stricter(auth.mode, own.client_auth.mode);
      if (auth.mode < own.client_auth.mode) auth = own.client_auth;
      auth.mode = mode;
    }
    set_sessions(service, own.resumption);
    if (own.resumption != master.tls->resumption)
      into_.lose(line, "sni: sessions of one name alone: Headgate has one rule for the listener");
    set_algorithms(service, own);
    if (own.min_version != master.tls->min_version || own.max_version != master.tls->max_version ||
        own.ciphers != master.tls->ciphers || own.cipher_suites != master.tls->cipher_suites ||
        own.groups != master.tls->groups) {
      into_.lose(line, "sni: versions or algorithms for one name alone: Headgate has those of the listener");
    }
  }

  static void add_if_new(std::vector<config::Certificate>& certificates, const config::Certificate& one) {
    if (std::ranges::find(certificates, one) == certificates.end()) certificates.push_back(one);
  }

  void set_servers(StunnelService& service, config::Backend& backend) {
    for (Directive* connect : service.all("connect")) {
      const std::string address = server_of(connect->value());
      if (std::ranges::find(backend.servers, address, &config::Server::address) == backend.servers.end())
        backend.servers.push_back({.address = address});
      connect->take_all();
    }
    const Directive* failover = service.find("failover");
    if (failover == nullptr || (failover->value() != "prio" && failover->value() != "rr")) return;
    if (service.look("failover") == "prio" && backend.servers.size() > 1)
      into_.lose(failover->line(), "failover: no equivalent in Headgate for prio; the servers take turns");
    service.take("failover");
  }

  static std::optional<std::chrono::seconds> take_seconds(StunnelService& service, std::string_view key) {
    const auto number = number_of(service.look(key));
    if (!number || *number == 0) return std::nullopt;
    service.take(key);
    return std::chrono::seconds(*number);
  }

  static void set_timeouts(StunnelService& service, config::Listener& listener, config::Backend& backend) {
    listener.timeouts.idle = std::chrono::hours(12);  // as stunnel has it
    if (const auto idle = take_seconds(service, "timeoutidle")) listener.timeouts.idle = *idle;
    if (const auto busy = take_seconds(service, "timeoutbusy")) listener.timeouts.handshake = *busy;
    if (const auto close = take_seconds(service, "timeoutclose")) listener.timeouts.half_close = *close;
    if (const auto connect = take_seconds(service, "timeoutconnect")) backend.connect_timeout = *connect;
  }

  void add_certificate(StunnelService& service, config::Tls& tls) const {
    const std::string file = path(service.take("cert")), key = path(service.take("key"));
    if (file.empty()) return;
    config::Certificate certificate;
    certificate.certificate = file;
    if (key != file) certificate.private_key = key;
    tls.certificates.push_back(std::move(certificate));
  }

  // --- servers

  void terminate(StunnelService& service, config::Listener& listener, config::Backend& backend) {
    config::Tls& tls = listener.tls.emplace();
    add_certificate(service, tls);
    set_algorithms(service, tls);
    set_client_auth(service, tls.client_auth);
    set_sessions(service, tls.resumption);
    const std::string protocol = service.look("protocol");
    if (protocol == "proxy") {
      backend.send_proxy = config::SendProxy::kV1;
    } else if (const auto starttls = starttls_of(protocol)) {
      listener.starttls = starttls;
    } else {
      return;
    }
    service.take("protocol");
  }

  static void set_sessions(StunnelService& service, config::Resumption& resumption) {
    if (const auto resume = switch_of(service.look("sessionresume"))) {
      resumption.tickets = *resume;
      service.take("sessionresume");
    }
    const auto lifetime = take_seconds(service, "sessioncachetimeout");
    if (lifetime) resumption.lifetime = std::min(*lifetime, std::chrono::seconds(168 * 3600));
  }

  /// The options in their order: verifyChain and verifyPeer require a certificate until a later requireCert,
  /// and the old `verify` replaces them all.
  static StunnelVerification verification_of(StunnelService& service) {
    StunnelVerification wanted;
    for (Directive* option : service.options) {
      if (verify_level(wanted, *option) || verify_switch(wanted, *option)) option->take_all();
    }
    wanted.asks = wanted.chain || wanted.pins || wanted.requires_one;
    return wanted;
  }

  static bool verify_level(StunnelVerification& wanted, const Directive& option) {
    const auto level = number_of(option.value());
    if (ascii_lower(option.key()) != "verify" || !level || *level > 4) return false;
    wanted.requires_one = *level >= 2;
    wanted.pins = *level >= 3;
    wanted.chain = *level >= 1 && *level <= 3;
    return true;
  }

  static bool verify_switch(StunnelVerification& wanted, const Directive& option) {
    const std::string key = ascii_lower(option.key());
    const auto on = switch_of(option.value());
    if (!on || (key != "verifychain" && key != "verifypeer" && key != "requirecert")) return false;
    if (key == "verifychain") wanted.chain = *on;
    if (key == "verifypeer") wanted.pins = *on;
    if (key == "requirecert" || *on) wanted.requires_one = *on;
    return true;
  }

  void name_pins(const StunnelService& service, const StunnelVerification& wanted, std::string_view instead) {
    if (!wanted.pins) return;
    const Directive* option = service.find(service.yes("verifypeer") ? "verifypeer" : "verify");
    into_.lose(
        option == nullptr ? service.line : option->line(),
        "verifyPeer: no equivalent in Headgate to peers that must themselves be in CAfile: every peer that "
        "its certificates vouch for passes; " +
            std::string(instead));
  }

  void set_client_auth(StunnelService& service, config::ClientAuth& auth) {
    const StunnelVerification wanted = verification_of(service);
    const std::string ca = path(service.take("cafile")), crl = path(service.take("crlfile"));
    if (!wanted.asks) return note_unused(service);
    auth.mode = wanted.requires_one ? config::ClientAuthMode::kRequired : config::ClientAuthMode::kOptional;
    auth.ca = ca;
    auth.crl = crl;
    name_pins(service, wanted, "pin with client_auth.allow.fingerprint");
    if (!wanted.chain && !wanted.pins)
      into_.lose(service.line, "[" + service.name +
                                   "]: requireCert takes any certificate, and Headgate only one "
                                   "that CAfile vouches for");
    for (Directive* host : service.all("checkhost")) {
      const bool pattern = host->value().starts_with('.') || host->value().find('*') != std::string::npos;
      if (pattern || host->value().empty()) continue;
      auth.allow.dns.push_back(ascii_lower(host->value()));
      host->take_all();
    }
  }

  /// Without verification stunnel looks at none of these.
  void note_unused(StunnelService& service) {
    for (const std::string_view key :
         {"cafile", "crlfile", "checkhost", "checkemail", "checkip", "capath", "crlpath"}) {
      for (Directive* option : service.all(key)) {
        into_.note(option->line(),
                   option->key() + ": has no effect without verifyChain or verifyPeer; left out");
        option->take_all();
      }
    }
  }

  void set_algorithms(StunnelService& service, config::Tls& tls) {
    tls.ciphers = service.take("ciphers");
    tls.cipher_suites = parts_of(service.take("ciphersuites"), ":");
    for (const std::string_view key : {"curve", "curves"}) {
      if (service.find(key) != nullptr) tls.groups = groups_of(service.take(key));
    }
    TlsVersions versions;
    for (const std::string_view key : {"sslversion", "sslversionmin", "sslversionmax"}) {
      const Directive* option = service.find(key);
      if (option == nullptr) continue;
      const auto version = tls_number_of(option->value());
      if (!version && ascii_lower(option->value()) != "all") continue;
      service.take(key);
      if (version) limit(versions, key, *version, *option);
    }
    for (Directive* option : service.all("options")) set_option(tls, versions, *option);
    if (!versions.any())
      into_.lose(service.line, "[" + service.name + "]: no version of TLS is left that Headgate speaks");
    versions.apply(tls);
  }

  void limit(TlsVersions& versions, std::string_view key, TlsNumber version, const Directive& option) {
    if (version < 12)
      into_.lose(option.line(),
                 option.key() + " = " + option.value() + ": Headgate speaks TLS 1.2 and 1.3 alone");
    if (key == "sslversion") versions.exactly(version);
    if (key == "sslversionmin") versions.at_least(version);
    if (key == "sslversionmax") versions.at_most(version);
  }

  /// Options of OpenSSL that change nothing in TLS 1.2 and 1.3, or that Headgate always has.
  static bool is_idle_option(std::string_view value) {
    static const std::set<std::string_view> idle = {"CIPHER_SERVER_PREFERENCE",
                                                    "NO_RENEGOTIATION",
                                                    "NO_COMPRESSION",
                                                    "SINGLE_DH_USE",
                                                    "SINGLE_ECDH_USE",
                                                    "ALL",
                                                    "DONT_INSERT_EMPTY_FRAGMENTS",
                                                    "NO_SESSION_RESUMPTION_ON_RENEGOTIATION"};
    return idle.contains(value);
  }

  /// Takes an option of OpenSSL that Headgate has too.
  static void set_option(config::Tls& tls, TlsVersions& versions, Directive& option) {
    const std::string& value = option.value();
    const auto version =
        value.starts_with("NO_") ? tls_number_of(std::string_view(value).substr(3)) : std::nullopt;
    if (version) {
      versions.without(*version);
    } else if (value == "NO_TICKET") {
      tls.resumption.tickets = false;
    } else if (!is_idle_option(value)) {
      return;
    }
    option.take_all();
  }

  // --- clients

  void originate(StunnelService& service, config::Backend& backend) {
    config::BackendTls& tls = backend.tls.emplace();
    tls.server_name = service.take("sni");
    tls.certificate = path(service.take("cert"));
    tls.private_key = path(service.take("key"));
    if (tls.certificate.empty() || tls.private_key == tls.certificate) tls.private_key.clear();
    const StunnelVerification wanted = verification_of(service);
    tls.verify = wanted.asks;
    const std::string ca = path(service.take("cafile"));
    if (!ca.empty()) tls.ca = ca;
    if (tls.verify) {
      name_pins(service, wanted, "give the server a CA of its own");
      set_server_name(service, tls);
    } else {
      note_unused(service);
      into_.note(service.line, "[" + service.name + "]: verifies no server; turn tls.verify on");
    }
    if (const auto starttls = starttls_of(service.look("protocol"))) {
      tls.starttls = starttls;
      service.take("protocol");
    }
    take_client_versions(service);
    for (const std::string_view key : {"sessionresume", "sessioncachetimeout"}) {
      for (Directive* option : service.all(key)) {
        into_.note(option->line(), option->key() + ": left out: it tunes the sessions with servers");
        option->take_all();
      }
    }
  }

  void set_server_name(StunnelService& service, config::BackendTls& tls) {
    std::vector<Directive*> names = service.all("checkhost");
    if (names.empty()) names = service.all("checkip");
    if (names.empty() || names.front()->value().starts_with('.')) {
      into_.note(service.line, "[" + service.name +
                                   "]: the server's name is verified too, which stunnel does not without "
                                   "checkHost; set tls.server_name if it differs from the address");
      return;
    }
    // One name is enough for stunnel; a second one stays without an equal.
    Directive& name = *names.front();
    if (!tls.server_name.empty() && tls.server_name != name.value())
      into_.lose(name.line(),
                 "checkHost: the name of sni is also the one that is verified; checkHost is used");
    tls.server_name = name.value();
    name.take_all();
  }

  /// Headgate speaks TLS 1.2 and 1.3 to backends. It takes a range that holds both.
  static void take_client_versions(StunnelService& service) {
    const auto least = tls_number_of(service.look("sslversionmin"));
    const auto most = tls_number_of(service.look("sslversionmax"));
    if ((least && *least <= 12) || ascii_lower(service.look("sslversionmin")) == "all")
      service.take("sslversionmin");
    if ((most && *most >= 13) || ascii_lower(service.look("sslversionmax")) == "all")
      service.take("sslversionmax");
    if (ascii_lower(service.look("sslversion")) == "all") service.take("sslversion");
    for (Directive* option : service.all("options")) {
      const std::string& value = option->value();
      const auto version =
          value.starts_with("NO_") ? tls_number_of(std::string_view(value).substr(3)) : std::nullopt;
      if ((version && *version < 12) || is_idle_option(value)) option->take_all();
    }
  }

  Imported into_;
  std::string directory_;
  bool only_ipv6_ = false;  // "[::]:443" takes no IPv4
  std::deque<Directive> head_;
  std::optional<SharedLines> shared_;  // the lines of head_
  std::deque<StunnelService> services_;
  std::map<std::string, std::string> listeners_of_services_;
};

}  // namespace

Imported import_stunnel(const ImportSource& source) {
  return StunnelImport().read(source);
}

}  // namespace headgate
