#include "cli/nginx_tls.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "base/ascii.h"
#include "cli/import_words.h"

namespace headgate {
namespace {

/// Reads the ssl_* lines of one server.
class NginxTls {
 public:
  NginxTls(NginxScope& scope, const Directive& server, Imported& into)
      : scope_(scope), server_(server), into_(into) {}

  config::Tls read() {
    read_certificates();
    read_algorithms();
    read_commands();
    versions_.apply(tls_);
    if (!versions_.any()) into_.lose(server_, "no version of TLS is left that Headgate speaks (1.2, 1.3)");
    read_client_auth();
    read_sessions();
    return std::move(tls_);
  }

 private:
  // --- certificates

  void read_certificates() {
    const auto certificates = scope_.all("ssl_certificate"), keys = scope_.all("ssl_certificate_key");
    for (std::size_t i = 0; i < certificates.size(); ++i) {
      Directive& line = *certificates[i];
      if (!is_file(line.value()) || (i < keys.size() && !is_file(keys[i]->value()))) continue;
      config::Certificate& certificate = tls_.certificates.emplace_back();
      certificate.certificate = scope_.path(line.value());
      line.take_all();
      if (i >= keys.size()) {
        into_.lose(line, "ssl_certificate: nginx refuses one without an ssl_certificate_key");
        continue;
      }
      keys[i]->take_all();
      if (keys[i]->value() != line.value()) certificate.private_key = scope_.path(keys[i]->value());
    }
  }

  /// "data:...", "engine:..." and the like are none, and neither is a path that depends on the client.
  static bool is_file(const std::string& value) {
    return !value.empty() && !has_variable(value) && value.find(':') == std::string::npos;
  }

  // --- versions and algorithms

  void read_algorithms() {
    if (Directive* protocols = scope_.find("ssl_protocols")) {
      read_protocols(*protocols);
    } else {
      into_.note(
          server_,
          "no ssl_protocols: TLS 1.2 and 1.3, as nginx 1.27.3 and later; before, TLS 1.0 and 1.1 were on, "
          "and before 1.23.4 TLS 1.3 was off");
    }
    if (scope_.find("ssl_ciphers") == nullptr)
      into_.note(server_,
                 "no ssl_ciphers: Headgate's ciphers of TLS 1.2 hold (ECDHE with AEAD), which are fewer than "
                 "nginx's HIGH:!aNULL:!MD5");
    tls_.ciphers = scope_.take("ssl_ciphers");
    const std::string groups = scope_.take("ssl_ecdh_curve");
    if (!groups.empty() && groups != "auto") tls_.groups = groups_of(groups);
    if (Directive* alpn = scope_.find("ssl_alpn")) {
      tls_.alpn.assign(alpn->words().begin() + 1, alpn->words().end());
      alpn->take_all();
    }
  }

  void read_protocols(Directive& line) {
    line.take(0);
    bool tls12 = false, tls13 = false;
    for (std::size_t i = 1; i < line.size(); ++i) {
      const auto version = tls_number_of(line.word(i));
      if (!version) continue;  // named as a word that has no equal
      line.take(i);
      tls12 = tls12 || *version == 12;
      tls13 = tls13 || *version == 13;
      if (*version < 12)
        into_.lose(line, "ssl_protocols: " + line.word(i) + ": Headgate speaks TLS 1.2 and 1.3 alone");
    }
    versions_.only_if(tls12, tls13);
  }

  // --- ssl_conf_command

  void read_commands() {
    for (Directive* line : scope_.all("ssl_conf_command")) {
      if (has_variable(line->word(2))) continue;
      if (take_command(*line, ascii_lower(line->value()), line->word(2))) line->take_all();
    }
  }

  /// A command of SSL_CONF_cmd(3), whose name is written in any case.
  bool take_command(const Directive& line, const std::string& command, const std::string& value) {
    const auto version = tls_number_of(value);
    if (command == "ciphersuites") {
      tls_.cipher_suites = parts_of(value, ":");
    } else if (command == "cipherstring") {
      tls_.ciphers = value;
    } else if (command == "groups" || command == "curves") {
      tls_.groups = groups_of(value);
    } else if (command == "minprotocol" && version) {
      if (*version < 12)
        into_.note(line, "ssl_conf_command MinProtocol: Headgate speaks TLS 1.2 and 1.3 alone");
      versions_.at_least(*version);
    } else if (command == "maxprotocol" && version) {
      versions_.at_most(*version);
    } else if (command == "options") {
      return take_options(value);
    } else {
      return false;
    }
    return true;
  }

  /// "-SessionTicket,PrioritizeChaCha": options that OpenSSL turns on, or off after "-".
  bool take_options(const std::string& value) {
    static constexpr std::array<std::string_view, 10> kIdle{"serverpreference",
                                                            "norenegotiation",
                                                            "noresumptiononrenegotiation",
                                                            "prioritizechacha",
                                                            "ktls",
                                                            "dhsingle",
                                                            "ecdhsingle",
                                                            "bugs",
                                                            "middleboxcompat",
                                                            "emptyfragments"};
    bool all = true;
    for (const std::string& option : parts_of(value, ",")) {
      const bool off = option.starts_with('-');
      const std::string name = ascii_lower(off || option.starts_with('+') ? option.substr(1) : option);
      if (name == "sessionticket") {
        tickets_ = !off;
      } else if (std::ranges::find(kIdle, name) == kIdle.end()) {
        all = false;
      }
    }
    return all;
  }

  // --- clients

  void read_client_auth() {
    static const std::map<std::string_view, config::ClientAuthMode> modes = {
        {"off", config::ClientAuthMode::kNone},
        {"on", config::ClientAuthMode::kRequired},
        {"optional", config::ClientAuthMode::kOptional},
        {"optional_no_ca", config::ClientAuthMode::kOptional}};
    const Directive* line = scope_.find("ssl_verify_client");
    const auto mode = modes.find(scope_.look("ssl_verify_client"));
    if (line == nullptr || mode == modes.end() || mode->second == config::ClientAuthMode::kNone) {
      if (mode != modes.end()) scope_.take("ssl_verify_client");
      return note_unused();
    }
    scope_.take("ssl_verify_client");
    if (mode->first == "optional_no_ca")
      into_.lose(
          *line,
          "ssl_verify_client optional_no_ca: no equivalent in Headgate, which takes no certificate that "
          "the CA does not vouch for; optional is used");
    config::ClientAuth& auth = tls_.client_auth;
    auth.mode = mode->second;
    auth.ca = scope_.take_path("ssl_client_certificate");
    auth.crl = scope_.take_path("ssl_crl");
    add_trusted(*line, auth);
    take_depth(*line);
  }

  /// nginx takes a certificate that one of the two files vouches for.
  void add_trusted(const Directive& line, config::ClientAuth& auth) {
    const std::string trusted = scope_.take_path("ssl_trusted_certificate");
    if (auth.ca.empty()) {
      auth.ca = trusted;
    } else if (!trusted.empty() && trusted != auth.ca) {
      into_.lose(
          line,
          "ssl_trusted_certificate: Headgate has one file of CAs: that of ssl_client_certificate; put the "
          "CAs of both into it");
    }
  }

  void take_depth(const Directive& line) {
    constexpr std::uint32_t kHeadgatesDepth = 8;
    const Directive* given = scope_.find("ssl_verify_depth");
    const auto depth = number_of(scope_.look("ssl_verify_depth"));
    if (given == nullptr) {
      into_.note(line,
                 "ssl_verify_client: nginx takes one certificate between a client's and the CA's, if "
                 "ssl_verify_depth does not say otherwise; Headgate takes eight");
    } else if (depth && *depth >= kHeadgatesDepth) {
      scope_.take("ssl_verify_depth");
    }
  }

  void note_unused() {
    for (const std::string_view name :
         {"ssl_client_certificate", "ssl_trusted_certificate", "ssl_crl", "ssl_verify_depth"}) {
      for (Directive* line : scope_.all(name)) {
        into_.note(*line, std::string(name) + ": has no effect without ssl_verify_client; left out");
        line->take_all();
      }
    }
  }

  void read_sessions() {
    using std::chrono::seconds;
    config::Resumption& resumption = tls_.resumption;
    resumption.tickets = scope_.take_switch("ssl_session_tickets", true) && tickets_;
    std::chrono::milliseconds lifetime = std::chrono::minutes(5);  // as nginx has it
    scope_.take_time("ssl_session_timeout", lifetime);
    resumption.lifetime = std::clamp(std::chrono::duration_cast<seconds>(lifetime), seconds(1),
                                     seconds(std::chrono::hours(168)));
  }

  NginxScope& scope_;
  const Directive& server_;
  Imported& into_;
  config::Tls tls_;
  TlsVersions versions_;
  bool tickets_ = true;  // as ssl_conf_command says
};

/// Reads the proxy_ssl_* lines of one server.
class NginxBackendTls {
 public:
  NginxBackendTls(NginxScope& scope, Imported& into) : scope_(scope), into_(into) {}

  std::optional<config::BackendTls> read(const NginxTarget& target) {
    const Directive* line = scope_.find("proxy_ssl");
    if (!scope_.take_switch("proxy_ssl", false)) {
      note_idle();
      return std::nullopt;
    }
    tls_.verify = scope_.take_switch("proxy_ssl_verify", false);
    const bool sends_name = scope_.take_switch("proxy_ssl_server_name", false);
    read_name(target, sends_name);
    const std::string ca = scope_.take_path("proxy_ssl_trusted_certificate");
    if (!ca.empty()) tls_.ca = ca;
    if (!tls_.verify)
      into_.note(*line, "proxy_ssl: nginx verifies no server without proxy_ssl_verify; turn tls.verify on");
    tls_.certificate = scope_.take_path("proxy_ssl_certificate");
    tls_.private_key = scope_.take_path("proxy_ssl_certificate_key");
    if (tls_.private_key == tls_.certificate) tls_.private_key.clear();
    take_protocols();
    if (scope_.look("proxy_ssl_ciphers") == "DEFAULT") scope_.take("proxy_ssl_ciphers");
    return std::move(tls_);
  }

 private:
  void read_name(const NginxTarget& target, bool sends_name) {
    const std::string given = scope_.look("proxy_ssl_name");
    const bool of_client = given == "$ssl_preread_server_name" || given == "$ssl_server_name";
    if (of_client) {
      for (Directive* line : scope_.all("proxy_ssl_name")) line->take_all();
      tls_.server_name = "$sni";
    } else if (!given.empty()) {
      tls_.server_name = scope_.take("proxy_ssl_name");
    } else if (!target.is_host && (tls_.verify || sends_name)) {
      tls_.server_name = target.name;
    }
  }

  /// Headgate speaks TLS 1.2 and 1.3 to servers. It takes lists that hold both.
  void take_protocols() {
    Directive* line = scope_.find("proxy_ssl_protocols");
    if (line == nullptr) return;
    const Words& words = line->words();
    const auto has = [&words](TlsNumber wanted) {
      return std::ranges::any_of(words,
                                 [wanted](const std::string& word) { return tls_number_of(word) == wanted; });
    };
    if (has(12) && has(13)) line->take_all();
  }

  void note_idle() {
    for (const std::string_view name :
         {"proxy_ssl_certificate", "proxy_ssl_certificate_key", "proxy_ssl_ciphers", "proxy_ssl_conf_command",
          "proxy_ssl_crl", "proxy_ssl_name", "proxy_ssl_password_file", "proxy_ssl_protocols",
          "proxy_ssl_server_name", "proxy_ssl_trusted_certificate", "proxy_ssl_verify",
          "proxy_ssl_verify_depth"}) {
      for (Directive* line : scope_.all(name)) {
        into_.note(*line, std::string(name) + ": has no effect without proxy_ssl; left out");
        line->take_all();
      }
    }
  }

  NginxScope& scope_;
  Imported& into_;
  config::BackendTls tls_;
};

}  // namespace

config::Tls nginx_tls(NginxScope& scope, const Directive& server, Imported& into) {
  return NginxTls(scope, server, into).read();
}

void name_idle_nginx_tls(NginxScope& scope, Imported& into) {
  for (const std::string_view name :
       {"ssl_alpn", "ssl_certificate", "ssl_certificate_key", "ssl_ciphers", "ssl_client_certificate",
        "ssl_conf_command", "ssl_crl", "ssl_ecdh_curve", "ssl_handshake_timeout", "ssl_password_file",
        "ssl_protocols", "ssl_session_ticket_key", "ssl_session_tickets", "ssl_session_timeout",
        "ssl_trusted_certificate", "ssl_verify_client", "ssl_verify_depth"}) {
    for (Directive* line : scope.all(name)) {
      into.note(*line, std::string(name) + R"(: has no effect without "listen ... ssl"; left out)");
      line->take_all();
    }
  }
}

std::optional<config::BackendTls> nginx_backend_tls(NginxScope& scope, const NginxTarget& target,
                                                    Imported& into) {
  return NginxBackendTls(scope, into).read(target);
}

}  // namespace headgate
