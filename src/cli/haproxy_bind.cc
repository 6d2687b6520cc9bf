#include "cli/haproxy_bind.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "cli/import_words.h"

namespace headgate {
namespace {

bool is_file(const std::string& path) {
  std::error_code unknown;
  return std::filesystem::is_regular_file(path, unknown);
}

/// The certificate in `path` with the files beside it that HAProxy loads too.
config::Certificate certificate_of(const std::string& path) {
  config::Certificate certificate;
  certificate.certificate = path;
  if (is_file(path + ".key")) certificate.private_key = path + ".key";
  if (is_file(path + ".ocsp")) certificate.ocsp_staple = path + ".ocsp";
  return certificate;
}

/// Reads the options of TLS that stand on a `bind` line, in ssl-default-bind-options, and in the brackets of
/// a crt-list.
class BindTls {
 public:
  BindTls(config::Tls& tls, const HaproxyGlobal& global, Imported& into)
      : tls_(tls), global_(global), into_(into) {}

  /// Takes the option at hand with its value. False if it is unknown.
  bool take(DirectiveOptions& options) { return take_rule(options) || take_certificates(options); }

  /// Sets what follows from all options together.
  void finish(int line) {
    for (const Files& files : files_) {
      if (files.are_list) {
        add_list(files.path, files.line);
      } else {
        add_certificate(files.path, files.line);
      }
    }
    versions_.apply(tls_);
    if (!versions_.any()) into_.lose(line, "no version of TLS is left that Headgate speaks (1.2, 1.3)");
    config::ClientAuth& auth = tls_.client_auth;
    if (auth.mode != config::ClientAuthMode::kNone || (auth.ca.empty() && auth.crl.empty())) return;
    into_.note(line, "ca-file and crl-file have no effect without \"verify\"; left out");
    auth.ca.clear();
    auth.crl.clear();
  }

 private:
  /// The value of a `crt` or a `crt-list`.
  struct Files {
    std::string path;
    bool are_list = false;
    int line = 0;
  };

  bool take_rule(DirectiveOptions& options) {
    return take_version(options) || take_flag(options) || take_algorithms(options) || take_peer(options);
  }

  bool take_version(DirectiveOptions& options) {
    const std::string word = options.peek();
    if (word == "ssl-min-ver" || word == "ssl-max-ver") {
      const auto version = tls_number_of(options.value());
      if (!version) return false;
      const std::string value = options.take_value();
      const bool least = word == "ssl-min-ver";
      if (*version < 12) lose_version(options.line(), word + " " + value);
      if (least) {
        versions_.at_least(*version);
      } else {
        versions_.at_most(*version);
      }
      return true;
    }
    for (const std::string_view prefix : {"no-", "force-"}) {
      if (!word.starts_with(prefix)) continue;
      const auto version = tls_number_of(std::string_view(word).substr(prefix.size()));
      if (!version) continue;
      options.take_flag();
      if (prefix == "no-") {
        versions_.without(*version);
      } else {
        versions_.exactly(*version);
        if (*version < 12) lose_version(options.line(), word);
      }
      return true;
    }
    return false;
  }

  void lose_version(int line, const std::string& text) {
    into_.lose(line, text + ": Headgate speaks TLS 1.2 and 1.3 alone");
  }

  bool take_flag(DirectiveOptions& options) {
    const std::string& word = options.peek();
    if (word == "no-tls-tickets") {
      tls_.resumption.tickets = false;
    } else if (word == "strict-sni") {
      tls_.unknown_name = config::UncoveredName::kReject;
      tls_.missing_name = config::UncoveredName::kReject;
    } else if (word != "ssl") {
      return false;
    }
    options.take_flag();
    return true;
  }

  bool take_algorithms(DirectiveOptions& options) {
    const std::string word = options.peek();
    if (word == "alpn") {
      tls_.alpn = parts_of(options.take_value(), ",");
    } else if (word == "ciphers") {
      tls_.ciphers = options.take_value();
    } else if (word == "ciphersuites") {
      tls_.cipher_suites = parts_of(options.take_value(), ":");
    } else if (word == "curves" || word == "ecdhe") {
      tls_.groups = groups_of(options.take_value());
    } else {
      return false;
    }
    return true;
  }

  bool take_peer(DirectiveOptions& options) {
    static const std::map<std::string_view, config::ClientAuthMode> modes = {
        {"none", config::ClientAuthMode::kNone},
        {"optional", config::ClientAuthMode::kOptional},
        {"required", config::ClientAuthMode::kRequired}};
    const std::string word = options.peek();
    config::ClientAuth& auth = tls_.client_auth;
    if (word == "verify") {
      const auto mode = modes.find(options.value());
      if (mode == modes.end()) return false;
      auth.mode = mode->second;
      options.take_value();
    } else if (word == "ca-file") {
      if (options.value() == "@system-ca") return false;
      auth.ca = global_.ca_path(options.take_value());
    } else if (word == "crl-file") {
      auth.crl = global_.ca_path(options.take_value());
    } else {
      return false;
    }
    return true;
  }

  bool take_certificates(DirectiveOptions& options) {
    const bool are_list = options.peek() == "crt-list";
    if (!are_list && options.peek() != "crt") return false;
    const int line = options.line();
    files_.push_back({global_.certificate_path(options.take_value()), are_list, line});
    return true;
  }

  void add_certificate(const std::string& path, int line) {
    std::error_code unknown;
    if (path.ends_with('/') || std::filesystem::is_directory(path, unknown)) return add_directory(path, line);
    bool found = is_file(path);
    for (const std::string_view kind : {".rsa", ".ecdsa", ".dsa"}) {
      if (found || !is_file(path + std::string(kind))) continue;
      tls_.certificates.push_back(certificate_of(path + std::string(kind)));
      if (kind == ".dsa") into_.lose(line, path + ".dsa: Headgate has no DSA");
    }
    const bool bundle =
        !tls_.certificates.empty() && tls_.certificates.back().certificate.starts_with(path + ".");
    if (found || !bundle) tls_.certificates.push_back(certificate_of(path));
  }

  /// HAProxy loads every file of the directory, and the first in the order of names may be the default.
  void add_directory(const std::string& path, int line) {
    static const std::set<std::string> beside = {".key", ".ocsp", ".issuer", ".sctl"};
    std::set<std::filesystem::path> files;
    std::error_code unreadable;
    for (auto at = std::filesystem::directory_iterator(path, unreadable);
         !unreadable && at != std::filesystem::directory_iterator(); at.increment(unreadable)) {
      const auto& file = at->path();
      if (!file.filename().string().starts_with('.') && !beside.contains(file.extension().string()) &&
          is_file(file.string()))
        files.insert(file);
    }
    if (unreadable)
      into_.lose(line, "crt " + path + ": the directory cannot be read: " + unreadable.message());
    const bool plain = std::ranges::all_of(files, [](const std::filesystem::path& file) {
      const std::string extension = file.extension().string();
      return (extension == ".pem" || extension == ".crt") && !is_file(file.string() + ".key");
    });
    if (files.empty() || (plain && !tls_.certificates.empty())) {
      tls_.certificate_dirs.push_back(path);
      return;
    }
    for (const auto& file : files) tls_.certificates.push_back(certificate_of(file.string()));
    into_.note(line,
               "crt " + path + ": its files are listed one by one; a file that is added later is not read");
  }

  // --- crt-list

  /// Lines of "CERTIFICATE [OPTION...] NAME...": certificates with rules of their own.
  void add_list(const std::string& path, int line) {
    std::ifstream in(path, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    if (!in.good() && !in.eof()) {
      into_.lose(line, "crt-list " + path + ": the file cannot be read, and so its certificates are missing");
      return;
    }
    for (const auto& [number, entry] : lines_of(text)) {
      if (entry.empty() || entry.starts_with('#')) continue;
      add_entry(entry, "crt-list " + path + ":" + std::to_string(number) + ": ", line);
    }
  }

  void add_entry(std::string_view entry, const std::string& place, int line) {
    const std::size_t open = std::min(entry.find('['), entry.size());
    const std::size_t close = std::min(entry.find(']', open), entry.size());
    Words words = parts_of(entry.substr(0, open), " \t");
    const std::string_view behind = entry.substr(std::min(close + 1, entry.size()));
    for (std::string& name : parts_of(behind, " \t")) words.push_back(std::move(name));
    if (words.empty()) return into_.lose(line, place + "names no certificate");
    add_certificate(global_.certificate_path(words[0]), line);
    if (words.size() > 1)
      into_.lose(line, place + "names of its own: Headgate goes by the names in the certificate");
    if (open < entry.size()) add_rules(entry.substr(open + 1, close - open - 1), place, line);
  }

  /// Rules for one certificate. Headgate has them for the listener, so they become rules for all, if that is
  /// the stricter set-up.
  void add_rules(std::string_view rules, const std::string& place, int line) {
    Directive directive(line, parts_of(rules, " \t"));
    config::Tls own = tls_;
    BindTls reader(own, global_, into_);
    DirectiveOptions options(directive, 0);
    while (!options.at_end()) {
      if (!reader.take_rule(options)) options.skip();
    }
    name_the_rest(directive, {}, into_);
    if (own.client_auth != tls_.client_auth) {
      into_.lose(line, place +
                           "a client certificate for one name alone: Headgate asks all clients of the "
                           "listener for one");
      const auto mode = stricter(own.client_auth.mode, tls_.client_auth.mode);
      if (tls_.client_auth.mode == config::ClientAuthMode::kNone) tls_.client_auth = own.client_auth;
      tls_.client_auth.mode = mode;
    }
    if (reader.versions_ != TlsVersions()) {
      into_.lose(line,
                 place + "versions for one name alone: Headgate has them for all names of the listener");
      versions_.also(reader.versions_);
    }
    own.client_auth = tls_.client_auth;
    if (own != tls_)
      into_.lose(line, place + "algorithms or ALPN for one name alone: Headgate has those of the listener");
  }

  config::Tls& tls_;
  const HaproxyGlobal& global_;
  Imported& into_;
  std::vector<Files> files_;
  TlsVersions versions_;
};

/// A `bind` line as a listener.
struct BindLine {
  config::Listener listener;
  std::vector<std::string> addresses;
  bool only_ipv6 = false;
  int line = 0;
};

/// Reads the other options of a `bind` line.
class BindReader {
 public:
  BindReader(const HaproxyGlobal& global, Imported& into) : global_(global), into_(into) {}

  BindLine read(Directive& directive) {
    BindLine bind;
    bind.line = directive.line();
    directive.take(0);
    directive.take(1);
    bind.addresses = parts_of(directive.value(), ",");
    const bool tls = std::ranges::find(directive.words(), "ssl") != directive.words().end();
    if (tls) {
      begin_tls(bind.listener.tls.emplace());
    } else {
      unused_ = {};
    }
    config::Tls& settings = tls ? *bind.listener.tls : unused_;
    Imported ignored;
    BindTls reader(settings, global_, tls ? into_ : ignored);
    if (tls) take_defaults(reader);
    DirectiveOptions options(directive, 2);
    while (!options.at_end()) {
      const std::string word = options.peek();
      if (take_other(options, bind)) continue;
      if (!reader.take(options)) {
        options.skip();
      } else if (!tls) {
        into_.note(bind.line, "bind: " + word + " has no effect without \"ssl\"");
      }
    }
    if (tls) reader.finish(bind.line);
    return bind;
  }

 private:
  void begin_tls(config::Tls& tls) const {
    tls.ciphers = global_.ciphers;
    tls.cipher_suites = parts_of(global_.cipher_suites, ":");
    if (!global_.curves.empty()) tls.groups = groups_of(global_.curves);
  }

  void take_defaults(BindTls& reader) const {
    for (Directive* line : global_.bind_options) {
      line->take(0);
      DirectiveOptions options(*line, 1);
      while (!options.at_end()) {
        if (!reader.take(options)) options.skip();
      }
    }
  }

  bool take_other(DirectiveOptions& options, BindLine& bind) {
    static const std::map<std::string_view, bool> harmless = {
        {"defer-accept", false}, {"tfo", false},         {"name", true},   {"id", true},
        {"nice", true},          {"process", true},      {"thread", true}, {"shards", true},
        {"tcp-ut", true},        {"mss", true},          {"npn", true},    {"severity-output", true},
        {"allow-0rtt", false},   {"no-ca-names", false}, {"label", true}};
    const std::string word = options.peek();
    if (word == "v6only" || word == "v4v6") {
      bind.only_ipv6 = word == "v6only";
      options.take_flag();
    } else if (word == "accept-proxy") {
      into_.note(
          bind.line,
          "accept-proxy: as in HAProxy every client may send the header and so claim any address; name "
          "your balancers in proxy_protocol.from");
      bind.listener.proxy_protocol.emplace().from = {Network::parse("0.0.0.0/0").value_or(Network()),
                                                     Network::parse("::/0").value_or(Network())};
      options.take_flag();
    } else if (word == "backlog" || word == "maxconn") {
      const auto number = number_of(options.value());
      if (!number) return false;
      options.take_value();
      if (word == "backlog") bind.listener.backlog = static_cast<int>(std::clamp(*number, 1U, 65535U));
      if (word == "maxconn") bind.listener.limits.max_connections = *number;
    } else if (const auto known = harmless.find(word); known != harmless.end()) {
      into_.note(bind.line, "bind: " + word + " is left out: Headgate does it in its own way or not at all");
      options.take_flag();
      if (known->second && !options.at_end()) options.take_flag();
    } else {
      return false;
    }
    return true;
  }

  const HaproxyGlobal& global_;
  Imported& into_;
  config::Tls unused_;
};

/// "ipv6@:443" and the like, in the form of bind_of().
std::string without_family(const std::string& address) {
  for (const std::string_view prefix : {"ipv4@", "unix@"}) {
    if (address.starts_with(prefix)) return address.substr(prefix.size());
  }
  if (address.starts_with("abns@")) return address.substr(4);
  if (!address.starts_with("ipv6@")) return address;
  const std::string rest = address.substr(5);
  return rest.starts_with(':') || rest.starts_with('*') ? "::" + rest.substr(rest.find(':')) : rest;
}

/// Listeners that differ in the address alone.
struct BindGroup {
  config::Listener settings;  ///< Without addresses.
  config::Listener listener{};
};

void add_address(std::vector<BindGroup>& groups, const BindLine& bind, const std::string& text,
                 Imported& into) {
  auto group = std::ranges::find(groups, bind.listener, &BindGroup::settings);
  if (group == groups.end()) group = groups.insert(group, {bind.listener, bind.listener});
  std::vector<config::Bind>& binds = group->listener.bind;
  const std::size_t before = binds.size();
  add_bind(into, group->listener, text, AnyAddress::kIpv4, bind.line);
  if (bind.only_ipv6) keep_to_ipv6(std::span(binds).subspan(before));
}

}  // namespace

std::vector<config::Listener> haproxy_listeners(const HaproxyProxy& proxy, const HaproxyGlobal& global,
                                                Imported& into) {
  std::vector<BindGroup> groups;
  for (Directive* line : proxy.lines) {
    if (!line->is("bind") || line->size() < 2) continue;
    const BindLine bind = BindReader(global, into).read(*line);
    for (const std::string& address : bind.addresses)
      add_address(groups, bind, without_family(address), into);
  }
  std::vector<config::Listener> listeners;
  for (BindGroup& group : groups) {
    if (!group.listener.bind.empty()) listeners.push_back(std::move(group.listener));
  }
  return listeners;
}

}  // namespace headgate
