#include "cli/nginx_listen.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "cli/import_words.h"

namespace headgate {
namespace {

/// One `listen` line.
class NginxListenLine {
 public:
  NginxListenLine(Directive& line, Imported& into) : line_(line), into_(into) {}

  /// Returns whether the line is one that Headgate has an equal for, but for words that are named.
  bool read() {
    line_.take(0);
    line_.take(1);
    const bool is_unix = line_.value().starts_with("unix:");
    const auto address = is_unix ? Address::parse(line_.value()) : bind_of(line_.value(), AnyAddress::kIpv4);
    if (!address) {
      into_.lose(line_, "listen \"" + line_.value() + "\": left out: " + address.error().what);
      line_.take_all();
      return false;
    }
    if (line_.value().starts_with("localhost:"))
      into_.note(line_, "listen: localhost is 127.0.0.1 here, and in nginx each address of the name");
    bind_.address = *address;
    bind_.ipv6_only = address->is_every_ipv6();  // as nginx has it
    if (is_unix) bind_.mode = 0666;              // so does nginx
    for (std::size_t i = 2; i < line_.size(); ++i) take_option(i);
    if (!is_udp_) return true;
    into_.lose(line_, "listen ... udp: left out: Headgate relays TCP alone");
    return false;
  }

  [[nodiscard]] const config::Bind& bind() const { return bind_; }
  /// What the line says beside its address.
  [[nodiscard]] const NginxListen& settings() const { return settings_; }

 private:
  void take_option(std::size_t index) {
    static constexpr std::array<std::string_view, 8> kIdle{
        "reuseport", "bind", "deferred", "fastopen=", "rcvbuf=", "sndbuf=", "so_keepalive", "default_server"};
    const std::string& word = line_.word(index);
    const auto backlog =
        word.starts_with("backlog=") ? number_of(std::string_view(word).substr(8)) : std::nullopt;
    if (word == "ssl") {
      settings_.tls = true;
    } else if (word == "proxy_protocol") {
      settings_.proxy_protocol = true;
    } else if (word == "udp") {
      is_udp_ = true;
    } else if (word == "ipv6only=off" || word == "ipv6only=on") {
      bind_.ipv6_only = bind_.address.is_every_ipv6() && word.ends_with("on");
    } else if (backlog) {
      settings_.backlog = static_cast<int>(std::clamp(*backlog, 1U, 65535U));
    } else if (std::ranges::any_of(kIdle,
                                   [&word](std::string_view idle) { return word.starts_with(idle); })) {
      into_.note(line_, "listen: " + word.substr(0, word.find('=')) +
                            " is left out: Headgate does it in its own way or not at all");
    } else {
      return;
    }
    line_.take(index);
  }

  Directive& line_;
  Imported& into_;
  config::Bind bind_;
  NginxListen settings_;
  bool is_udp_ = false;
};

bool same_settings(const NginxListen& one, const NginxListen& other) {
  return one.tls == other.tls && one.proxy_protocol == other.proxy_protocol && one.backlog == other.backlog;
}

}  // namespace

std::vector<NginxListen> nginx_listens(NginxScope& scope, std::vector<Address>& bound, Imported& into) {
  std::vector<NginxListen> listens;
  for (Directive* line : scope.all("listen")) {
    NginxListenLine listen(*line, into);
    if (!listen.read()) continue;
    const config::Bind& bind = listen.bind();
    if (std::ranges::find(bound, bind.address) != bound.end()) {
      into.lose(*line,
                "listen: left out, because another line has this address; a listener of Headgate tells "
                "names apart by its routes");
      continue;
    }
    bound.push_back(bind.address);
    auto group = std::ranges::find_if(
        listens, [&listen](const NginxListen& one) { return same_settings(one, listen.settings()); });
    if (group == listens.end()) group = listens.insert(group, listen.settings());
    group->binds.push_back(bind);
  }
  std::ranges::stable_partition(listens, &NginxListen::tls);
  return listens;
}

}  // namespace headgate
