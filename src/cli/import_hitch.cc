#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/import.h"
#include "cli/import_words.h"

namespace headgate {
namespace {

/// `key = value`, or `key = { entries }`.
struct HitchEntry {
  int line = 0;
  std::string key{};
  std::string value{};
  std::vector<HitchEntry> block{};

  [[nodiscard]] std::string find(std::string_view wanted) const {
    for (const HitchEntry& entry : block) {
      if (entry.key == wanted) return entry.value;
    }
    return {};
  }
};

/// Cuts the file into words, strings and the signs "=", "{" and "}".
class HitchTokens {
 public:
  explicit HitchTokens(std::string_view text) : rest_(text) {}

  /// The next token, empty at the end of the file; a string comes without its quotes.
  std::string next() {
    skip_blanks();
    quoted_ = !rest_.empty() && rest_.front() == '"';
    if (rest_.empty()) return {};
    if (quoted_) return take_string();
    const std::size_t end =
        is_sign(rest_.front()) ? 1 : std::min(rest_.find_first_of(" \t\r\n={}\"#"), rest_.size());
    std::string token(rest_.substr(0, end));
    rest_.remove_prefix(end);
    return token;
  }
  [[nodiscard]] bool is(std::string_view sign, const std::string& token) const {
    return !quoted_ && token == sign;
  }
  /// Whether a version of TLS comes next, as in the list that `tls-protos` takes without quotes.
  [[nodiscard]] bool version_follows() {
    skip_blanks();
    return rest_.starts_with("TLSv") || rest_.starts_with("SSLv");
  }
  [[nodiscard]] bool at_end() const { return rest_.empty(); }
  [[nodiscard]] int line() const { return line_; }

 private:
  static bool is_sign(char c) { return c == '=' || c == '{' || c == '}'; }

  void skip_blanks() {
    bool comment = false;
    while (!rest_.empty()) {
      const char c = rest_.front();
      if (c == '\n') ++line_;
      comment = (comment && c != '\n') || c == '#';
      if (!comment && c != ' ' && c != '\t' && c != '\r' && c != '\n') return;
      rest_.remove_prefix(1);
    }
  }

  std::string take_string() {
    rest_.remove_prefix(1);
    const std::size_t end = std::min(rest_.find_first_of("\"\n"), rest_.size());
    std::string token(rest_.substr(0, end));
    rest_.remove_prefix(std::min(end + (end < rest_.size() && rest_[end] == '"' ? 1 : 0), rest_.size()));
    return token;
  }

  std::string_view rest_;
  int line_ = 1;
  bool quoted_ = false;
};

enum class Nesting { kFile, kBlock };

/// Entries up to the end of the file, or of a block. The deepest are blocks in the blocks of a frontend.
std::vector<HitchEntry> read_entries(HitchTokens& tokens, Nesting nesting, int depth = 0) {
  constexpr int kMaxDepth = 4;
  std::vector<HitchEntry> entries;
  while (true) {
    HitchEntry entry{.key = tokens.next()};
    entry.line = tokens.line();
    if (entry.key.empty() && tokens.at_end()) return entries;
    if (tokens.is("}", entry.key)) {
      if (nesting == Nesting::kBlock) return entries;
      continue;
    }
    std::string token = tokens.next();
    if (tokens.is("=", token)) token = tokens.next();
    if (tokens.is("{", token) && depth < kMaxDepth) {
      entry.block = read_entries(tokens, Nesting::kBlock, depth + 1);
    } else {
      entry.value = std::move(token);
      while (entry.key == "tls-protos" && tokens.version_follows()) entry.value += ' ' + tokens.next();
    }
    entries.push_back(std::move(entry));
  }
}

/// Keys for things that Headgate does by itself, or for how hitch starts.
const std::set<std::string_view> kNeedlessKeys = {"daemon",
                                                  "quiet",
                                                  "syslog",
                                                  "syslog-facility",
                                                  "log-level",
                                                  "log-filename",
                                                  "keepalive",
                                                  "ssl-engine",
                                                  "prefer-server-ciphers",
                                                  "pidfile",
                                                  "ocsp-verify-staple",
                                                  "recv-bufsize",
                                                  "send-bufsize",
                                                  "backend-refresh",
                                                  "tcp-fastopen",
                                                  "reuseport",
                                                  "ring-slots",
                                                  "ring-data-len",
                                                  "proxy-tlv"};

const std::map<std::string_view, std::string_view> kWithoutEqual = {
    {"chroot", "no equivalent in Headgate: the sandbox (Landlock, seccomp) takes its place"},
    {"ocsp-dir", "no equivalent in Headgate: give each certificate its ocsp_staple"},
    {"ocsp-connect-tmo",
     "no equivalent in Headgate, which fetches no OCSP responses: give each certificate its ocsp_staple"},
    {"ocsp-resp-tmo",
     "no equivalent in Headgate, which fetches no OCSP responses: give each certificate its ocsp_staple"},
    {"ocsp-refresh-interval",
     "no equivalent in Headgate, which fetches no OCSP responses: give each certificate its ocsp_staple"},
    {"write-ip", "no equivalent in Headgate: use send_proxy: v2 and have the backend read it"},
    {"proxy-proxy", "set proxy_protocol.from to the networks of your balancers, and send_proxy"},
    {"match-global-certs", "listeners have their own certificates; all global ones are in each"},
    {"shared-cache",
     "no equivalent in Headgate: use resumption.secret_file to share sessions among instances"},
};

/// Makes one Config of the entries. Entries outside frontends apply to all listeners.
class HitchImport {
 public:
  Imported read(std::string_view text) {
    HitchTokens tokens(text);
    const auto entries = read_entries(tokens, Nesting::kFile);
    listener_.tls.emplace();
    listener_.backend = backend_.name = "app";
    backend_.servers = {{.address = "127.0.0.1:8000"}};  // as in hitch
    for (const HitchEntry& entry : entries) {
      if (entry.key != "frontend") set(listener_, entry);
    }
    for (const HitchEntry& entry : entries) {
      if (entry.key == "frontend") add_frontend(entry);
    }
    if (into_.config.listeners.empty()) add_frontend({.key = "frontend", .value = "[*]:8443"});
    if (client_) make_originator();
    into_.config.backends.emplace(backend_.name, backend_);
    return std::move(into_);
  }

 private:
  void add_frontend(const HitchEntry& entry) {
    config::Listener listener = listener_;
    const auto number = into_.config.listeners.size() + 1;
    listener.name =
        entry.find("label").empty() ? "frontend-" + std::to_string(number) : label_of(entry.find("label"));
    if (entry.block.empty()) {
      add_bind(into_, listener, entry.value, entry.line);
    } else {
      const std::string host = entry.find("host");
      add_bind(into_, listener, "[" + (host.empty() ? "*" : host) + "]:" + entry.find("port"), entry.line);
    }
    for (const HitchEntry& own : entry.block) {
      if (own.key != "host" && own.key != "port" && own.key != "label") set(listener, own);
    }
    into_.config.listeners.push_back(std::move(listener));
  }

  void set(config::Listener& listener, const HitchEntry& entry) {
    if (kNeedlessKeys.contains(entry.key)) return;
    if (set_process(entry) || set_backend(entry) || set_certificates(*listener.tls, entry) ||
        set_tls(*listener.tls, entry) || set_listener(listener, entry)) {
      return;
    }
    const auto known = kWithoutEqual.find(entry.key);
    into_.note(entry.line, entry.key + ": " +
                               std::string(known == kWithoutEqual.end() ? "has no equivalent in Headgate"
                                                                        : known->second));
  }

  bool set_process(const HitchEntry& entry) {
    config::Config& config = into_.config;
    if (entry.key == "workers") {
      config.workers = static_cast<int>(std::min(number_of(entry.value).value_or(0), 1024U));
    } else if (entry.key == "user") {
      const auto parts = parts_of(entry.value, ":");
      if (!parts.empty()) config.user = parts[0];
      if (parts.size() > 1) config.group = parts[1];
    } else if (entry.key == "group") {
      config.group = entry.value;
    } else if (entry.key == "client") {
      client_ = is_yes(entry.value);
    } else {
      return false;
    }
    return true;
  }

  bool set_backend(const HitchEntry& entry) {
    if (entry.key == "backend") {
      backend_.servers = {{.address = server_of(entry.value)}};
    } else if (entry.key == "write-proxy-v1" || entry.key == "write-proxy-v2" || entry.key == "write-proxy") {
      if (is_yes(entry.value))
        backend_.send_proxy = entry.key == "write-proxy-v1" ? config::SendProxy::kV1 : config::SendProxy::kV2;
    } else if (entry.key == "backend-connect-timeout") {
      backend_.connect_timeout = std::chrono::seconds(number_of(entry.value).value_or(2));
    } else {
      return false;
    }
    return true;
  }

  static bool set_certificates(config::Tls& tls, const HitchEntry& entry) {
    if (entry.key == "pem-file") {
      tls.certificates.push_back({.certificate = entry.block.empty() ? entry.value : entry.find("cert"),
                                  .private_key = entry.find("private-key"),
                                  .ocsp_staple = entry.find("ocsp-resp-file")});
    } else if (entry.key == "pem-dir") {
      tls.certificate_dirs.push_back(entry.value);
    } else {
      return false;
    }
    return true;
  }

  bool set_tls(config::Tls& tls, const HitchEntry& entry) {
    if (entry.key == "ciphers") {
      tls.ciphers = entry.value;
    } else if (entry.key == "ciphersuites") {
      tls.cipher_suites = parts_of(entry.value, ":");
    } else if (entry.key == "ecdh-curve") {
      tls.groups = groups_of(entry.value);
    } else if (entry.key == "tls-protos") {
      set_versions(into_, tls, parts_of(entry.value, " ,"), entry.line);
    } else if (entry.key == "alpn-protos") {
      tls.alpn = parts_of(entry.value, " ,");
    } else if (entry.key == "sni-nomatch-abort") {
      tls.unknown_name =
          is_yes(entry.value) ? config::UnknownName::kReject : config::UnknownName::kServeDefault;
    } else if (entry.key == "client-verify") {
      tls.client_auth.mode = entry.value == "required"   ? config::ClientAuthMode::kRequired
                             : entry.value == "optional" ? config::ClientAuthMode::kOptional
                                                         : config::ClientAuthMode::kNone;
    } else if (entry.key == "client-verify-ca") {
      tls.client_auth.ca = entry.value;
    } else {
      return false;
    }
    return true;
  }

  static bool set_listener(config::Listener& listener, const HitchEntry& entry) {
    if (entry.key == "backlog") {
      listener.backlog = static_cast<int>(std::min(number_of(entry.value).value_or(4096), 65535U));
    } else if (entry.key == "ssl-handshake-timeout") {
      listener.timeouts.handshake = std::chrono::seconds(number_of(entry.value).value_or(10));
    } else {
      return false;
    }
    return true;
  }

  /// hitch as a client takes plaintext and speaks TLS, unverified, to its backend.
  void make_originator() {
    for (config::Listener& listener : into_.config.listeners) listener.tls.reset();
    backend_.tls.emplace().verify = false;
    into_.note(1, "client: hitch verifies no backend; give tls.ca and turn tls.verify on");
  }

  Imported into_;
  config::Listener listener_;  // the start of every frontend
  config::Backend backend_;
  bool client_ = false;
};

}  // namespace

Imported import_hitch(std::string_view text) {
  return HitchImport().read(text);
}

}  // namespace headgate
