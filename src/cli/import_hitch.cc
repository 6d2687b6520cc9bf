#include <fnmatch.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "cli/hitch_file.h"
#include "cli/import.h"
#include "cli/import_directive.h"
#include "cli/import_words.h"

namespace headgate {
namespace {

constexpr KnownLoss kNoFetch{
    Loss::kHarmless,
    "no equivalent in Headgate, which fetches no OCSP responses: give each certificate its "
    "ocsp_staple"};

/// Keys that change neither access nor TLS nor where a connection goes. Every other key that is not taken
/// over is a rule.
const KnownLosses& hitch_losses() {
  static const KnownLosses losses = {
      {"daemon", kOwnWay},
      {"quiet", kOwnLog},
      {"syslog", kOwnLog},
      {"syslog-facility", kOwnLog},
      {"log-level", kOwnLog},
      {"log-filename", kOwnLog},
      {"pidfile", kOwnWay},
      {"keepalive", kOwnWay},
      {"recv-bufsize", kOwnWay},
      {"send-bufsize", kOwnWay},
      {"backend-refresh", kOwnWay},
      {"tcp-fastopen", kOwnWay},
      {"reuseport", kOwnWay},
      {"ring-slots", kOwnWay},
      {"ring-data-len", kOwnWay},
      {"proxy-tlv", kOwnWay},
      {"proxy-authority", kOwnWay},
      {"chroot",
       {Loss::kHarmless, "no equivalent in Headgate: the sandbox (Landlock, seccomp) takes its place"}},
      {"ocsp-dir", kNoFetch},
      {"ocsp-connect-tmo", kNoFetch},
      {"ocsp-resp-tmo", kNoFetch},
      {"ocsp-refresh-interval", kNoFetch},
      {"ocsp-verify-staple", kNoFetch},
      {"session-cache", {Loss::kHarmless, "left out: sessions live in tickets; see resumption"}},
      {"shared-cache", {Loss::kHarmless, "left out: use resumption.secret_file to share sessions"}},
      {"shared-cache-listen", {Loss::kHarmless, "left out: use resumption.secret_file to share sessions"}},
      {"shared-cache-peer", {Loss::kHarmless, "left out: use resumption.secret_file to share sessions"}},
      {"shared-cache-if", {Loss::kHarmless, "left out: use resumption.secret_file to share sessions"}},
      {"write-ip",
       {Loss::kRule, "no equivalent in Headgate: use send_proxy: v2 and have the backend read it"}},
      {"proxy-proxy",
       {Loss::kRule, "set proxy_protocol.from to the networks of your balancers, and send_proxy"}},
  };
  return losses;
}

/// A `pem-file`.
struct HitchCertificate {
  config::Certificate files;
  std::optional<config::ClientAuthMode> verify;
  std::string ca;
  int line = 0;
};

/// The settings that a frontend can have for itself, and that the file has for all.
struct HitchScope {
  std::vector<HitchCertificate> certificates;  ///< In the order of the file: the last is the default.
  std::optional<TlsVersions> versions;
  std::optional<config::ClientAuthMode> verify;
  std::string ca, ciphers, cipher_suites;
  int ca_line = 1;
  std::optional<bool> abort_unknown, match_global;
};

/// What one certificate asks of clients.
struct HitchPeerRule {
  config::ClientAuthMode mode = config::ClientAuthMode::kNone;
  std::string ca;
  int line = 0;
  [[nodiscard]] bool same_as(const HitchPeerRule& other) const {
    return mode == other.mode && (mode == config::ClientAuthMode::kNone || ca == other.ca);
  }
};

/// The option that an entry sets; empty for those of which each entry counts.
std::string hitch_option_of(const Directive& line) {
  static const std::set<std::string_view> lists = {"frontend", "pem-file", "shared-cache-peer"};
  return lists.contains(line.key()) ? std::string() : line.key();
}

/// Makes one Config of the entries.
class HitchImport {
 public:
  Imported read(const ImportSource& source) {
    directory_ = source.directory;
    auto entries = hitch_entries(source.text, into_);
    if (entries.empty()) into_.lose(1, "there is no entry: a hitch file has lines like \"backend = ...\"");
    name_replaced_entries(entries);
    backend_.name = "app";
    backend_.servers = {{.address = "127.0.0.1:8000"}};  // as in hitch
    for (HitchEntry& entry : entries) {
      if (entry.key() != "frontend") read_global(entry);
    }
    add_directory();
    for (HitchEntry& entry : entries) {
      if (entry.key() == "frontend") add_frontend(entry);
    }
    if (into_.config.listeners.empty()) add_listener("[*]:8443", {}, 1);  // as in hitch
    if (client_) make_originator(entries);
    into_.config.backends.emplace(backend_.name, backend_);
    for (const HitchEntry& entry : entries) name_entry(entry);
    return std::move(into_);
  }

 private:
  /// An empty string is as if the line were not there.
  static bool is_blank(const HitchEntry& entry) {
    return entry.block.empty() && entry.directive.size() == 2 && entry.value().empty();
  }

  void read_global(HitchEntry& entry) {
    if (is_blank(entry) || set_scope(file_, entry) || set_process(entry) || set_backend(entry) ||
        set_listeners(entry))
      entry.directive.take_all();
  }

  // --- settings of a file or a frontend

  bool set_scope(HitchScope& scope, HitchEntry& entry) {
    const std::string& key = entry.key();
    const std::string& value = entry.value();
    const auto on = switch_of(value);
    if (key == "pem-file") {
      scope.certificates.push_back(certificate_of(entry));
    } else if (key == "ciphers") {
      scope.ciphers = value;
    } else if (key == "ciphersuites") {
      scope.cipher_suites = value;
    } else if (key == "tls-protos") {
      set_versions(scope, entry.directive);
    } else if ((key == "ssl" || key == "tls") && on) {
      if (*on) into_.lose(entry.directive.line(), key + ": Headgate speaks TLS 1.2 and 1.3 alone");
      if (*on) scope.versions.emplace();
    } else if (key == "sni-nomatch-abort" && on) {
      scope.abort_unknown = on;
    } else if (key == "client-verify") {
      return set_verify(scope.verify, value);
    } else if (key == "client-verify-ca") {
      scope.ca = path_below(directory_, value);
      scope.ca_line = entry.directive.line();
    } else if (key == "prefer-server-ciphers" && on) {
      if (!*on) into_.note(entry.directive.line(), key + ": the server's order holds in Headgate");
    } else {
      return false;
    }
    return true;
  }

  static bool set_verify(std::optional<config::ClientAuthMode>& mode, const std::string& value) {
    static const std::map<std::string_view, config::ClientAuthMode> modes = {
        {"none", config::ClientAuthMode::kNone},
        {"optional", config::ClientAuthMode::kOptional},
        {"required", config::ClientAuthMode::kRequired}};
    const auto found = modes.find(value);
    if (found != modes.end()) mode = found->second;
    return found != modes.end();
  }

  void set_versions(HitchScope& scope, const Directive& directive) {
    bool tls12 = false, tls13 = false;
    for (std::size_t i = 1; i < directive.size(); ++i) {
      for (const std::string& word : parts_of(directive.word(i), " ,")) {
        const auto version = tls_number_of(word);
        tls12 = tls12 || version == 12;
        tls13 = tls13 || version == 13;
        if (!version || *version < 12)
          into_.lose(directive.line(), "tls-protos: " + word + ": Headgate speaks TLS 1.2 and 1.3 alone");
      }
    }
    scope.versions.emplace().only_if(tls12, tls13);
    if (!tls12 && !tls13)
      into_.lose(directive.line(),
                 "tls-protos: no version is left that Headgate speaks; TLS 1.3 alone is set");
  }

  HitchCertificate certificate_of(HitchEntry& entry) {
    HitchCertificate certificate;
    certificate.line = entry.directive.line();
    int ca_line = 0;
    if (entry.block.empty()) certificate.files.certificate = path_below(directory_, entry.value());
    for (HitchEntry& own : entry.block) {
      const std::string& value = own.value();
      bool known = true;
      if (own.key() == "cert") {
        certificate.files.certificate = path_below(directory_, value);
      } else if (own.key() == "private-key") {
        certificate.files.private_key = path_below(directory_, value);
      } else if (own.key() == "ocsp-resp-file") {
        certificate.files.ocsp_staple = path_below(directory_, value);
      } else if (own.key() == "client-verify") {
        known = set_verify(certificate.verify, value);
      } else if (own.key() == "client-verify-ca") {
        certificate.ca = path_below(directory_, value);
        ca_line = own.directive.line();
      } else {
        known = false;
      }
      if (known || is_blank(own)) own.directive.take_all();
    }
    if (!certificate.ca.empty() && !certificate.verify)
      into_.note(ca_line, "client-verify-ca: has no effect without a client-verify beside it; left out");
    return certificate;
  }

  // --- settings of the file alone

  bool set_process(HitchEntry& entry) {
    config::Config& config = into_.config;
    const std::string& value = entry.value();
    if (entry.key() == "workers") {
      const auto number = number_of(value);
      if (!number && value != "auto") return false;
      config.workers = static_cast<int>(std::min(number.value_or(0), 1024U));
    } else if (entry.key() == "user") {
      const auto parts = parts_of(value, ":");
      if (!parts.empty()) config.user = parts[0];
      if (parts.size() > 1) config.group = parts[1];
    } else if (entry.key() == "group") {
      config.group = value;
    } else if (entry.key() == "client" && switch_of(value)) {
      client_ = *switch_of(value);
      client_line_ = entry.directive.line();
    } else {
      return false;
    }
    return true;
  }

  bool set_backend(HitchEntry& entry) {
    const std::string& key = entry.key();
    if (key == "backend") {
      backend_.servers = {{.address = server_of(entry.value())}};
    } else if (key == "write-proxy-v1" || key == "write-proxy-v2" || key == "write-proxy") {
      const auto on = switch_of(entry.value());
      if (!on) return false;
      if (*on)
        backend_.send_proxy = key == "write-proxy-v1" ? config::SendProxy::kV1 : config::SendProxy::kV2;
    } else if (key == "backend-connect-timeout") {
      const auto seconds = number_of(entry.value());
      if (!seconds || *seconds == 0) return false;
      backend_.connect_timeout = std::chrono::seconds(*seconds);
    } else {
      // An "off" is what Headgate does.
      return (key == "write-ip" || key == "proxy-proxy" || key == "proxy-client-cert") &&
             switch_of(entry.value()) == false;
    }
    return true;
  }

  bool set_listeners(HitchEntry& entry) {
    const auto number = number_of(entry.value());
    if (entry.key() == "backlog" && number) {
      start_.backlog = static_cast<int>(std::clamp(*number, 1U, 65535U));
    } else if (entry.key() == "ssl-handshake-timeout" && number && *number > 0) {
      start_.timeouts.handshake = std::chrono::seconds(*number);
    } else if (entry.key() == "ecdh-curve") {
      if (entry.value() != "auto") groups_ = groups_of(entry.value());
    } else if (entry.key() == "alpn-protos") {
      alpn_ = parts_of(entry.value(), " ,");
    } else if (entry.key() == "pem-dir") {
      pem_dir_ = path_below(directory_, entry.value());
      pem_dir_line_ = entry.directive.line();
    } else if (entry.key() == "pem-dir-glob") {
      pem_glob_ = entry.value();
      pem_glob_line_ = entry.directive.line();
    } else {
      return false;
    }
    return true;
  }

  /// hitch loads every file that fits the pattern, and the first is the default where there is no `pem-file`.
  void add_directory() {
    if (pem_dir_.empty() && !pem_glob_.empty())
      into_.note(pem_glob_line_, "pem-dir-glob: has no effect without pem-dir; left out");
    if (pem_dir_.empty()) return;
    std::set<std::filesystem::path> files;
    std::error_code unreadable;
    for (auto at = std::filesystem::directory_iterator(pem_dir_, unreadable);
         !unreadable && at != std::filesystem::directory_iterator(); at.increment(unreadable)) {
      std::error_code unknown;
      const std::string name = at->path().filename().string();
      const bool fits = pem_glob_.empty() || fnmatch(pem_glob_.c_str(), name.c_str(), 0) == 0;
      if (fits && at->is_regular_file(unknown)) files.insert(at->path());
    }
    if (unreadable)
      into_.lose(pem_dir_line_,
                 "pem-dir " + pem_dir_ + ": the directory cannot be read: " + unreadable.message());
    if (files.empty()) {
      directories_.push_back(pem_dir_);
      return;
    }
    into_.note(pem_dir_line_,
               "pem-dir: its files are listed one by one; a file that is added later is not read");
    std::vector<HitchCertificate> loaded;
    for (const auto& file : files) {
      HitchCertificate& one = loaded.emplace_back();
      one.files.certificate = file.string();
      one.line = pem_dir_line_;
    }
    // The default is the last `pem-file`, or without one the first file.
    if (file_.certificates.empty()) std::ranges::rotate(loaded, loaded.begin() + 1);
    file_.certificates.insert(file_.certificates.begin(), loaded.begin(), loaded.end());
  }

  // --- frontends

  void add_frontend(HitchEntry& entry) {
    if (is_blank(entry)) return entry.directive.take_all();
    HitchScope scope;
    std::string bind = entry.value(), host = "*", port, label;
    const std::size_t plus = bind.find('+');
    if (plus != std::string::npos) {
      HitchCertificate& own = scope.certificates.emplace_back();
      own.files.certificate = path_below(directory_, bind.substr(plus + 1));
      own.line = entry.directive.line();
      bind.resize(plus);
    }
    for (HitchEntry& own : entry.block) {
      if (is_blank(own)) {
        own.directive.take_all();
        continue;
      }
      const bool known = set_scope(scope, own) || set_place(own, host, port, label) || set_match(scope, own);
      if (known) own.directive.take_all();
    }
    entry.directive.take_all();
    if (!entry.block.empty()) bind = "[" + host + "]:" + port;
    add_listener(bind, scope, entry.directive.line(), label);
  }

  static bool set_place(const HitchEntry& own, std::string& host, std::string& port, std::string& label) {
    if (own.key() == "host") {
      host = own.value();
    } else if (own.key() == "port") {
      port = own.value();
    } else if (own.key() == "label") {
      label = own.value();
    } else {
      return false;
    }
    return true;
  }

  static bool set_match(HitchScope& scope, const HitchEntry& own) {
    if (own.key() != "match-global-certs") return false;
    scope.match_global = switch_of(own.value());
    return scope.match_global.has_value();
  }

  /// "[::]:443" does in hitch, and "[*]:443" does not.
  static bool takes_ipv6_alone(const std::string& bind) { return bind.find(':') != bind.rfind(':'); }

  void add_listener(const std::string& bind, const HitchScope& own, int line, const std::string& label = {}) {
    config::Listener listener = start_;
    listener.name =
        label.empty() ? "frontend-" + std::to_string(into_.config.listeners.size() + 1) : label_of(label);
    listener.backend = backend_.name;
    add_bind(into_, listener, bind, AnyAddress::kIpv4AndIpv6, line);
    if (takes_ipv6_alone(bind)) keep_to_ipv6(listener.bind);
    config::Tls& tls = listener.tls.emplace();
    if (!groups_.empty()) tls.groups = groups_;
    tls.alpn = alpn_;
    const bool has_own = !own.certificates.empty();
    const bool with_global = own.match_global.value_or(!has_own) || !has_own;
    add_certificates(tls, own);
    if (with_global) add_certificates(tls, file_);
    if (with_global) tls.certificate_dirs = directories_;
    if (own.abort_unknown.value_or(file_.abort_unknown.value_or(false)))
      tls.unknown_name = config::UncoveredName::kReject;
    set_algorithms(tls, own, has_own, line);
    set_client_auth(tls.client_auth, own, with_global);
    into_.config.listeners.push_back(std::move(listener));
  }

  /// The last is the default, which Headgate has first.
  static void add_certificates(config::Tls& tls, const HitchScope& scope) {
    if (scope.certificates.empty()) return;
    tls.certificates.push_back(scope.certificates.back().files);
    for (std::size_t i = 0; i + 1 < scope.certificates.size(); ++i)
      tls.certificates.push_back(scope.certificates[i].files);
  }

  /// hitch applies a frontend's own settings to its own certificates only.
  void set_algorithms(config::Tls& tls, const HitchScope& own, bool has_own, int line) {
    const bool sets = own.versions || !own.ciphers.empty() || !own.cipher_suites.empty();
    if (sets && !has_own)
      into_.note(
          line,
          "frontend: its tls-protos and ciphers have no effect in hitch without a pem-file of its own; "
          "versions are taken over where they are stricter");
    const HitchScope& first = has_own ? own : file_;
    tls.ciphers = first.ciphers.empty() ? file_.ciphers : first.ciphers;
    tls.cipher_suites =
        parts_of(first.cipher_suites.empty() ? file_.cipher_suites : first.cipher_suites, ":");
    TlsVersions versions = first.versions.value_or(file_.versions.value_or(TlsVersions()));
    if (!has_own && own.versions) {
      TlsVersions both = versions;
      both.also(*own.versions);
      if (both.any()) versions = both;
    }
    versions.apply(tls);
  }

  // --- clients' certificates

  /// Headgate asks all clients of a listener alike. Where hitch asks by certificate, the strictest rule
  /// holds.
  void set_client_auth(config::ClientAuth& auth, const HitchScope& own, bool with_global) {
    std::vector<HitchPeerRule> rules;
    for (const HitchCertificate& one : own.certificates) rules.push_back(rule_of(one, own));
    if (with_global) {
      for (const HitchCertificate& one : file_.certificates) rules.push_back(rule_of(one, {}));
      if (file_.certificates.empty()) rules.push_back(rule_of({}, {}));
    }
    if (own.certificates.empty() && own.verify) rules.push_back(rule_of({}, own));
    if (rules.empty()) return;
    const auto strictest = std::ranges::max_element(rules, {}, &HitchPeerRule::mode);
    auth.mode = strictest->mode;
    for (const HitchScope* scope : {&own, static_cast<const HitchScope*>(&file_)}) {
      if (auth.mode == config::ClientAuthMode::kNone && !scope->ca.empty())
        into_.note(scope->ca_line, "client-verify-ca: has no effect where client-verify is none; left out");
    }
    if (auth.mode != config::ClientAuthMode::kNone) auth.ca = strictest->ca;
    for (const HitchPeerRule& rule : rules) {
      if (rule.same_as(*strictest)) continue;
      into_.lose(
          std::max(rule.line, 1),
          "client-verify: certificates have rules of their own, and Headgate has one for the listener: "
          "the strictest holds for all clients");
    }
  }

  HitchPeerRule rule_of(const HitchCertificate& certificate, const HitchScope& own) const {
    HitchPeerRule rule;
    rule.line = certificate.line;
    rule.mode = file_.verify.value_or(config::ClientAuthMode::kNone);
    rule.ca = own.ca.empty() ? file_.ca : own.ca;
    if (own.verify) rule.mode = *own.verify;
    if (certificate.verify) {
      rule.mode = *certificate.verify;
      if (!certificate.ca.empty()) rule.ca = certificate.ca;
    }
    return rule;
  }

  /// Names the entries of a client that the originator lacks.
  void name_idle_entry(const HitchEntry& entry) {
    static const std::set<std::string_view> rules = {"tls-protos", "ciphers", "ciphersuites", "ecdh-curve"};
    static const std::set<std::string_view> idle = {"pem-file", "pem-dir", "alpn-protos",
                                                    "sni-nomatch-abort"};
    if (is_blank(entry)) return;
    const int line = entry.directive.line();
    if (rules.contains(entry.key()))
      into_.lose(line, entry.key() + ": no equivalent in Headgate for the TLS that a client speaks");
    if (idle.contains(entry.key()))
      into_.note(line, entry.key() + ": has no effect where hitch is the client; left out");
    if (entry.key() != "frontend") return;
    for (const HitchEntry& own : entry.block) name_idle_entry(own);
  }

  /// hitch as a client takes plaintext and speaks TLS, unverified, to its backend.
  void make_originator(const std::vector<HitchEntry>& entries) {
    for (config::Listener& listener : into_.config.listeners) {
      if (listener.tls->client_auth.mode != config::ClientAuthMode::kNone)
        into_.lose(client_line_, "client: clients speak plaintext, so no certificate is asked of them");
      listener.tls.reset();
    }
    for (const HitchEntry& entry : entries) name_idle_entry(entry);
    backend_.tls.emplace().verify = false;
    into_.note(client_line_, "client: hitch verifies no backend; give tls.ca and turn tls.verify on");
  }

  void name_replaced_entries(const std::vector<HitchEntry>& entries) {
    std::vector<const Directive*> lines;
    for (const HitchEntry& entry : entries) {
      if (!is_blank(entry)) lines.push_back(&entry.directive);
      name_replaced_entries(entry.block);
    }
    name_replaced(lines, hitch_option_of, into_);
  }

  void name_entry(const HitchEntry& entry) {
    name_the_rest(entry.directive, hitch_losses(), into_);
    for (const HitchEntry& own : entry.block) name_entry(own);
  }

  Imported into_;
  std::string directory_;
  HitchScope file_;
  config::Listener start_;  // of every frontend
  config::Backend backend_;
  std::vector<std::string> groups_, alpn_, directories_;
  std::string pem_dir_, pem_glob_;
  int pem_dir_line_ = 1, pem_glob_line_ = 1;
  bool client_ = false;
  int client_line_ = 1;
};

}  // namespace

Imported import_hitch(const ImportSource& source) {
  return HitchImport().read(source);
}

}  // namespace headgate
