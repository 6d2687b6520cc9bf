#include "cli/haproxy_backend.h"

#include <algorithm>
#include <chrono>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "cli/import_words.h"

namespace headgate {
namespace {

class HaproxyBackend {
 public:
  explicit HaproxyBackend(Imported& into) : into_(into) {}

  void read(const HaproxySection& section, const std::vector<HaproxyLine>& defaults) {
    config::Backend backend;
    backend.name = label_of(section.name);
    Words default_server;
    for (const auto* lines : {&defaults, &section.lines}) {
      for (const HaproxyLine& line : *lines) set_backend(backend, line, default_server);
    }
    into_.config.backends.insert_or_assign(backend.name, std::move(backend));
  }

 private:
  void set_backend(config::Backend& backend, const HaproxyLine& line, Words& default_server) {
    const Words& words = line.words;
    const std::string value = words.size() > 1 ? words[1] : std::string();
    if (words[0] == "balance") {
      set_balance(backend, value, line.number);
    } else if (words[0] == "retries") {
      backend.connect_attempts = static_cast<int>(std::min(number_of(value).value_or(1), 99U)) + 1;
    } else if (words[0] == "timeout" && value == "connect" && words.size() > 2) {
      if (const auto time = haproxy_time(words[2])) backend.connect_timeout = *time;
    } else if (words[0] == "option" && value == "ssl-hello-chk") {
      health_check(backend).type = config::HealthCheckType::kTls;
    } else if (words[0] == "default-server") {
      default_server.assign(words.begin() + 1, words.end());
    } else if (words[0] == "server" && words.size() > 2) {
      add_server(backend, line, default_server);
    }
  }

  void set_balance(config::Backend& backend, const std::string& word, int line) {
    if (word == "leastconn") {
      backend.balance = config::Balance::kLeastConnections;
    } else if (word == "source") {
      backend.balance = config::Balance::kSourceHash;
    } else if (word.starts_with("random")) {
      backend.balance = config::Balance::kRandomTwo;
    } else if (word != "roundrobin" && word != "static-rr") {
      into_.note(line, "balance " + word + ": no equivalent in Headgate; round_robin is used");
    }
  }

  static config::HealthCheck& health_check(config::Backend& backend) {
    return backend.health_check ? *backend.health_check : backend.health_check.emplace();
  }
  static config::BackendTls& tls_of(config::Backend& backend) {
    return backend.tls ? *backend.tls : backend.tls.emplace();
  }

  void add_server(config::Backend& backend, const HaproxyLine& line, const Words& default_server) {
    config::Server server{.address = server_of(line.words[2])};
    Words words = default_server;
    words.insert(words.end(), line.words.begin() + 3, line.words.end());
    // TLS first: its options mean nothing without it.
    const bool tls = std::ranges::find(words, "ssl") != words.end();
    if (tls) tls_of(backend);
    HaproxyOptions options(words, 0);
    for (std::string word; options.next(word);) {
      if (set_server(server, word, options) || set_check(backend, word, options) ||
          set_proxy(backend, word) || set_server_tls(backend, word, options, tls)) {
        continue;
      }
      into_.note(line.number, "server " + line.words[1] + ": no equivalent in Headgate for " + word);
    }
    backend.servers.push_back(std::move(server));
  }

  static bool set_server(config::Server& server, const std::string& word, HaproxyOptions& options) {
    if (word == "weight") {
      server.weight = number_of(options.value()).value_or(1);
    } else if (word == "maxconn") {
      server.max_connections = number_of(options.value()).value_or(0);
    } else {
      return word == "ssl" || word == "check-ssl";
    }
    return true;
  }

  static bool set_check(config::Backend& backend, const std::string& word, HaproxyOptions& options) {
    if (word == "check") {
      health_check(backend);
    } else if (word == "inter") {
      health_check(backend).interval = haproxy_time(options.value()).value_or(std::chrono::seconds(2));
    } else if (word == "rise") {
      health_check(backend).rise = static_cast<int>(std::min(number_of(options.value()).value_or(3), 100U));
    } else if (word == "fall") {
      health_check(backend).fall = static_cast<int>(std::min(number_of(options.value()).value_or(3), 100U));
    } else {
      return false;
    }
    return true;
  }

  static bool set_proxy(config::Backend& backend, const std::string& word) {
    if (word != "send-proxy" && !word.starts_with("send-proxy-v2")) return false;
    backend.send_proxy = word == "send-proxy" ? config::SendProxy::kV1 : config::SendProxy::kV2;
    return true;
  }

  static bool set_server_tls(config::Backend& backend, const std::string& word, HaproxyOptions& options,
                             bool tls) {
    static const std::set<std::string_view> known = {"verify", "ca-file", "crt", "sni", "verifyhost", "alpn"};
    if (!known.contains(word)) return false;
    const std::string value = options.value();
    if (!tls) return true;
    config::BackendTls& into = tls_of(backend);
    if (word == "verify") into.verify = value != "none";
    if (word == "ca-file") into.ca = value == "@system-ca" ? "system" : value;
    if (word == "crt") into.certificate = value;
    if (word == "alpn") into.alpn = parts_of(value, ",");
    if (word == "verifyhost") into.server_name = value;
    if (word == "sni" && into.server_name.empty())
      into.server_name = value.starts_with("str(") ? value.substr(4, value.find(')') - 4) : "$sni";
    return true;
  }

  Imported& into_;
};

}  // namespace

void import_haproxy_backend(const HaproxySection& section, const std::vector<HaproxyLine>& defaults,
                            Imported& into) {
  HaproxyBackend(into).read(section, defaults);
}

}  // namespace headgate
