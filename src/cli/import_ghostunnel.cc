#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "cli/ghostunnel_file.h"
#include "cli/import.h"
#include "cli/import_directive.h"
#include "cli/import_words.h"

namespace headgate {
namespace {

constexpr KnownLoss kGhostunnelAdmin{Loss::kHarmless,
                                     "left out: see admin.bind, with /healthz, /readyz and /metrics"};
constexpr KnownLoss kNoAcme{
    Loss::kRule,
    "no equivalent in Headgate: have an ACME client write the certificate's files, which are watched"};
constexpr KnownLoss kNoModule{Loss::kRule, "no equivalent in Headgate, which reads keys from files"};
constexpr KnownLoss kNoPolicy{Loss::kRule,
                              "no equivalent in Headgate: write the rules into client_auth.allow"};
constexpr KnownLoss kNoServerRule{
    Loss::kRule, "no equivalent in Headgate, which verifies a server's name; see tls.server_name"};
constexpr KnownLoss kNoWorkloadApi{
    Loss::kRule, "no equivalent in Headgate: have spiffe-helper write the files, which are watched"};

const KnownLosses& ghostunnel_losses() {
  static const KnownLosses losses = {
      {"--timed-reload", {Loss::kHarmless, "left out: Headgate watches its files"}},
      {"--target-status", {Loss::kHarmless, "left out: see health_check"}},
      {"--status", kGhostunnelAdmin},
      {"--enable-pprof", kGhostunnelAdmin},
      {"--enable-shutdown", kGhostunnelAdmin},
      {"--metrics-graphite", kGhostunnelAdmin},
      {"--metrics-url", kGhostunnelAdmin},
      {"--metrics-prefix", kGhostunnelAdmin},
      {"--metrics-interval", kGhostunnelAdmin},
      {"--quiet", {Loss::kHarmless, "left out: see log.level and log.access"}},
      {"--syslog", {Loss::kHarmless, "left out: see log.level and log.access"}},
      {"--use-landlock", kOwnWay},
      {"--disable-landlock", kOwnWay},
      {"--auto-acme-cert", kNoAcme},
      {"--auto-acme-email", kNoAcme},
      {"--auto-acme-agree-to-tos", kNoAcme},
      {"--auto-acme-ca", kNoAcme},
      {"--auto-acme-testca", kNoAcme},
      {"--pkcs11-module", kNoModule},
      {"--pkcs11-token-label", kNoModule},
      {"--pkcs11-pin", kNoModule},
      {"--keychain-identity", kNoModule},
      {"--keychain-issuer", kNoModule},
      {"--keychain-require-token", kNoModule},
      {"--storepass",
       {Loss::kRule, "no equivalent in Headgate: write the certificate and its decrypted key as PEM"}},
      {"--allow-policy", kNoPolicy},
      {"--allow-query", kNoPolicy},
      {"--allow-ip", kNoPolicy},
      {"--allow-ip-san", kNoPolicy},
      {"--verify-cn", kNoServerRule},
      {"--verify-ou", kNoServerRule},
      {"--verify-dns", kNoServerRule},
      {"--verify-dns-san", kNoServerRule},
      {"--verify-ip", kNoServerRule},
      {"--verify-ip-san", kNoServerRule},
      {"--verify-uri", kNoServerRule},
      {"--verify-uri-san", kNoServerRule},
      {"--verify-policy", kNoServerRule},
      {"--verify-query", kNoServerRule},
      {"--use-workload-api", kNoWorkloadApi},
      {"--use-workload-api-addr", kNoWorkloadApi},
  };
  return losses;
}

/// The flags of one command.
class GhostunnelFlags {
 public:
  explicit GhostunnelFlags(std::vector<Directive>& flags) : flags_(flags) {}

  [[nodiscard]] std::vector<Directive*> all(std::string_view flag) const {
    std::vector<Directive*> found;
    for (Directive& one : flags_) {
      if (one.is(flag)) found.push_back(&one);
    }
    return found;
  }
  [[nodiscard]] bool has(std::string_view flag) const { return !all(flag).empty(); }
  /// Takes the flag and returns its value, empty without one.
  std::string take(std::string_view flag) {
    std::string value;
    for (Directive* one : all(flag)) {
      one->take_all();
      value = one->value();
    }
    return value;
  }
  /// Takes a flag without a value; returns whether there is one.
  bool take_bare(std::string_view flag) {
    take(flag);
    return has(flag);
  }
  /// Takes a time as Go writes it, of at least 1 ms; leaves other texts.
  std::optional<std::chrono::milliseconds> take_time(std::string_view flag) {
    std::optional<std::chrono::milliseconds> time;
    for (Directive* one : all(flag)) {
      const bool has_unit = number_of(one->value()) == std::nullopt;
      time = has_unit ? time_of(one->value()) : std::nullopt;
      if (time && time->count() == 0) time.reset();
      if (time || number_of(one->value()) == 0U) one->take_all();
    }
    return time;
  }

 private:
  std::vector<Directive>& flags_;
};

class GhostunnelImport {
 public:
  Imported read(const ImportSource& source) {
    directory_ = source.directory;
    auto commands = ghostunnel_commands(source.text, into_);
    for (GhostunnelCommand& command : commands) {
      name_repeated(command);
      GhostunnelFlags flags(command.flags);
      add(command, flags);
      for (const Directive& flag : command.flags) name_the_rest(flag, ghostunnel_losses(), into_);
    }
    return std::move(into_);
  }

 private:
  /// ghostunnel takes several of these alone.
  void name_repeated(const GhostunnelCommand& command) {
    std::set<std::string_view> seen;
    for (const Directive& flag : command.flags) {
      const bool is_list =
          flag.key().starts_with("--allow-") || flag.key().starts_with("--verify-") || flag.is("--quiet");
      if (!is_list && !seen.insert(flag.key()).second)
        into_.lose(flag, flag.key() + ": is given twice, which ghostunnel refuses");
    }
  }

  void add(const GhostunnelCommand& command, GhostunnelFlags& flags) {
    config::Listener& listener = into_.config.listeners.emplace_back();
    config::Backend backend;
    listener.name = name_of(command.is_server ? "server" : "client");
    listener.backend = backend.name = listener.name;
    set_listen(command, flags, listener);
    set_target(command, flags, backend);
    set_times(flags, listener, backend);
    for (Directive* flag : flags.all("--max-concurrent-conns")) {
      const auto most = number_of(flag->value());
      if (!most) continue;
      listener.limits.max_connections = *most;
      flag->take_all();
    }
    if (command.is_server) {
      terminate(command, flags, listener, backend);
    } else {
      originate(command, flags, backend);
    }
    into_.config.backends.emplace(backend.name, std::move(backend));
  }

  /// "server", "server-2".
  [[nodiscard]] std::string name_of(const std::string& mode) const {
    std::string name = mode;
    for (int number = 2; into_.config.backends.contains(name); ++number)
      name = mode + "-" + std::to_string(number);
    return name;
  }

  // --- addresses

  void set_listen(const GhostunnelCommand& command, GhostunnelFlags& flags, config::Listener& listener) {
    const std::string text = flags.take("--listen");
    if (text.empty())
      return into_.lose(command.line, "--listen is missing, without which ghostunnel does not start");
    const Directive& flag = *flags.all("--listen").back();
    if (text.starts_with("systemd:") || text.starts_with("launchd:"))
      return into_.lose(flag, "--listen " + text +
                                  ": write the address of the socket unit into bind; Headgate takes the "
                                  "socket with that address from systemd");
    const bool is_unix = text.starts_with("unix:");
    const auto address =
        is_unix ? Address::parse("unix:" + path(text.substr(5))) : bind_of(text, AnyAddress::kIpv4AndIpv6);
    if (!address) return into_.lose(flag, "--listen " + text + ": " + address.error().what);
    listener.bind.emplace_back().address = *address;
    if (!command.is_server && !flags.take_bare("--unsafe-listen") && !is_near(text))
      into_.lose(flag,
                 "--listen: ghostunnel refuses another address than this machine's without --unsafe-listen");
  }

  void set_target(const GhostunnelCommand& command, GhostunnelFlags& flags, config::Backend& backend) {
    const std::string text = flags.take("--target");
    if (text.empty())
      return into_.lose(command.line, "--target is missing, without which ghostunnel does not start");
    const Directive& flag = *flags.all("--target").back();
    const bool is_unix = text.starts_with("unix:");
    backend.servers = {{.address = is_unix ? "unix:" + path(text.substr(5)) : server_of(text)}};
    if (command.is_server && !flags.take_bare("--unsafe-target") && !is_near(text))
      into_.lose(flag,
                 "--target: ghostunnel refuses another address than this machine's without --unsafe-target");
  }

  /// An address that ghostunnel takes without a further flag.
  static bool is_near(std::string_view text) {
    static constexpr std::array<std::string_view, 6> kNear{
        "unix:", "systemd:", "launchd:", "127.0.0.1:", "[::1]:", "localhost:"};
    return std::ranges::any_of(kNear, [text](std::string_view begin) { return text.starts_with(begin); });
  }

  [[nodiscard]] std::string path(const std::string& text) const { return path_below(directory_, text); }

  void set_times(GhostunnelFlags& flags, config::Listener& listener, config::Backend& backend) {
    listener.timeouts.idle = std::chrono::hours(24);  // ghostunnel has no bound
    if (const auto time = flags.take_time("--connect-timeout"))
      listener.timeouts.handshake = backend.connect_timeout = *time;
    if (const auto time = flags.take_time("--close-timeout")) listener.timeouts.half_close = *time;
    if (const auto time = flags.take_time("--max-conn-lifetime")) listener.timeouts.lifetime = *time;
    if (const auto time = flags.take_time("--shutdown-timeout")) into_.config.drain_deadline = *time;
  }

  // --- certificates

  /// The certificate's file and that of its key, which is empty where they are one.
  std::pair<std::string, std::string> take_certificate(GhostunnelFlags& flags) {
    const std::string keystore = flags.take("--keystore"), cert = flags.take("--cert"),
                      key = flags.take("--key");
    if (keystore.empty()) return {path(cert), key == cert ? std::string() : path(key)};
    const Directive& flag = *flags.all("--keystore").back();
    if (!cert.empty() || !key.empty())
      into_.lose(flag, "--keystore: stands beside --cert and --key, which ghostunnel refuses");
    static constexpr std::array<std::string_view, 5> kOther{".p12", ".pfx", ".jks", ".jceks", ".keystore"};
    if (std::ranges::any_of(kOther, [&](std::string_view end) { return keystore.ends_with(end); }))
      into_.lose(flag, "--keystore: Headgate reads PEM alone; convert the file (openssl pkcs12 -nodes)");
    return {path(keystore), {}};
  }

  // --- servers

  void terminate(const GhostunnelCommand& command, GhostunnelFlags& flags, config::Listener& listener,
                 config::Backend& backend) {
    config::Tls& tls = listener.tls.emplace();
    auto [certificate, key] = take_certificate(flags);
    if (!certificate.empty())
      tls.certificates.push_back(
          {.certificate = std::move(certificate), .private_key = std::move(key), .ocsp_staple = {}});
    set_algorithms(flags, tls);
    set_client_auth(command, flags, tls.client_auth);
    const bool introduces = flags.take_bare("--proxy-protocol");
    const auto modes = flags.all("--proxy-protocol-mode");
    if (introduces || !modes.empty()) backend.send_proxy = config::SendProxy::kV2;
    for (Directive* mode : modes) {
      backend.send_client_certificate = mode->value() == "tls-full";
      if (mode->value() == "conn" || mode->value() == "tls" || mode->value() == "tls-full") mode->take_all();
    }
  }

  void set_algorithms(GhostunnelFlags& flags, config::Tls& tls) {
    for (Directive* flag : flags.all("--max-tls-version")) {
      if (flag->value() != "TLS1.2" && flag->value() != "TLS1.3") continue;
      if (flag->value() == "TLS1.2") tls.max_version = config::TlsVersion::kTls12;
      flag->take_all();
    }
    for (Directive* flag : flags.all("--cipher-suites")) {
      const auto ciphers = ciphers_of(flag->value());
      if (!ciphers) continue;
      tls.ciphers = *ciphers;
      flag->take_all();
    }
    for (Directive* flag : flags.all("--allow-unsafe-cipher-suites")) {
      into_.note(*flag, "--allow-unsafe-cipher-suites: has no effect by itself; left out");
      flag->take_all();
    }
  }

  /// "AES,CHACHA", which is also the default, is what Headgate has.
  static std::optional<std::string> ciphers_of(const std::string& text) {
    constexpr std::string_view kAes =
        "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
        "ECDHE-RSA-AES256-GCM-SHA384";
    constexpr std::string_view kChacha = "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
    bool aes = false, chacha = false;
    for (const std::string& part : parts_of(text, ", ")) {
      if (part != "AES" && part != "CHACHA") return std::nullopt;
      aes = aes || part == "AES";
      chacha = chacha || part == "CHACHA";
    }
    if (aes == chacha) return std::string();
    return std::string(aes ? kAes : kChacha);
  }

  void set_client_auth(const GhostunnelCommand& command, GhostunnelFlags& flags, config::ClientAuth& auth) {
    const bool all = flags.take_bare("--allow-all"), none = flags.take_bare("--disable-authentication");
    const std::string ca = path(flags.take("--cacert"));
    add_allowed(flags, auth.allow);
    const bool allows_some =
        std::ranges::any_of(kAllowFlags, [&flags](std::string_view flag) { return flags.has(flag); });
    if (none && !all && !allows_some) {
      if (!ca.empty())
        into_.note(*flags.all("--cacert").back(),
                   "--cacert: has no effect with --disable-authentication; left out");
      auth.allow = {};
      return;
    }
    if (!none && !all && !allows_some)
      into_.lose(command.line,
                 "ghostunnel does not start without --allow-all, another --allow flag or "
                 "--disable-authentication");
    if ((none || all) && allows_some)
      into_.lose(command.line,
                 "ghostunnel refuses --allow flags beside --allow-all and --disable-authentication; "
                 "the strictest hold");
    if (none && all)
      into_.lose(command.line,
                 "ghostunnel refuses --disable-authentication beside --allow-all; the strictest holds");
    auth.mode = config::ClientAuthMode::kRequired;
    auth.ca = ca;
    if (ca.empty())
      into_.lose(command.line,
                 "without --cacert ghostunnel trusts the system's CAs: name a file of CAs for clients");
  }

  static constexpr std::array<std::string_view, 10> kAllowFlags{
      "--allow-cn",      "--allow-ou", "--allow-dns",    "--allow-dns-san", "--allow-uri",
      "--allow-uri-san", "--allow-ip", "--allow-ip-san", "--allow-policy",  "--allow-query"};

  /// Takes the flags with names. A pattern that means something else in Headgate is left, and matches
  /// nobody.
  static void add_allowed(GhostunnelFlags& flags, config::ClientAllow& allow) {
    for (Directive* flag : flags.all("--allow-cn")) add_name(*flag, allow.common_name);
    for (Directive* flag : flags.all("--allow-ou")) add_name(*flag, allow.organizational_unit);
    for (const std::string_view name : {"--allow-dns", "--allow-dns-san"}) {
      for (Directive* flag : flags.all(name)) {
        if (flag->value().find('*') == std::string::npos) add_name(*flag, allow.dns);
      }
    }
    for (const std::string_view name : {"--allow-uri", "--allow-uri-san"}) {
      for (Directive* flag : flags.all(name)) {
        if (flag->value().find("**") == std::string::npos) add_name(*flag, allow.uri);
      }
    }
  }

  static void add_name(Directive& flag, std::vector<std::string>& names) {
    if (flag.value().empty()) return;
    names.push_back(flag.value());
    flag.take_all();
  }

  // --- clients

  void originate(const GhostunnelCommand& command, GhostunnelFlags& flags, config::Backend& backend) {
    config::BackendTls& tls = backend.tls.emplace();
    tls.server_name = flags.take("--override-server-name");
    const std::string ca = path(flags.take("--cacert"));
    if (!ca.empty()) tls.ca = ca;
    std::tie(tls.certificate, tls.private_key) = take_certificate(flags);
    if (flags.take_bare("--disable-authentication")) {
      if (!tls.certificate.empty())
        into_.lose(command.line, "ghostunnel refuses --disable-authentication beside a certificate");
    } else if (tls.certificate.empty()) {
      into_.lose(command.line,
                 "ghostunnel does not start without a certificate and without --disable-authentication");
    }
    for (Directive* flag : flags.all("--max-tls-version")) {
      if (flag->value() == "TLS1.3") flag->take_all();
    }
    for (Directive* flag : flags.all("--cipher-suites")) {
      if (ciphers_of(flag->value()) == std::string()) flag->take_all();
    }
  }

  Imported into_;
  std::string directory_;
};

}  // namespace

Imported import_ghostunnel(const ImportSource& source) {
  return GhostunnelImport().read(source);
}

}  // namespace headgate
