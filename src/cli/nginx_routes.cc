#include "cli/nginx_routes.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ascii.h"
#include "cli/import_words.h"
#include "cli/nginx_backend.h"

namespace headgate {
namespace {

/// A line of a `map` that leads somewhere.
struct NginxMapEntry {
  std::string name;
  std::string place;
  Directive* line = nullptr;
};

/// What a `map` looks at.
enum class NginxMapKey { kHelloName, kServerName, kNegotiated };

/// Reads the lines of one `map`.
class NginxMap {
 public:
  NginxMap(NginxLine& map, NginxMapKey key, Imported& into) : map_(map), key_(key), into_(into) {}

  void read() {
    map_.directive.take_all();
    for (NginxLine& line : map_.block) {
      if (line.name() == "hostnames") hostnames_ = true;
    }
    for (NginxLine& line : map_.block) read_line(line.directive);
    // nginx looks for a whole name before a pattern, and takes the longest pattern.
    std::ranges::stable_sort(entries_, [](const NginxMapEntry& one, const NginxMapEntry& other) {
      return rank(one.name) < rank(other.name);
    });
    if (without_name_ != nullptr && without_name_->value() != rest_.place)
      into_.lose(
          *without_name_,
          R"(map: "" leads clients without a name to another place: in Headgate they go where the rest goes)");
  }

  [[nodiscard]] const std::vector<NginxMapEntry>& entries() const { return entries_; }
  /// Where every other connection goes; no line without a `default`.
  [[nodiscard]] const NginxMapEntry& rest() const { return rest_; }

 private:
  static std::size_t rank(const std::string& name) {
    constexpr std::size_t kLongestName = 1000;
    return name.starts_with("*.") ? kLongestName - std::min(name.size(), kLongestName - 1) : 0;
  }

  void read_line(Directive& line) {
    if (line.is("hostnames") || line.is("volatile")) return line.take_all();
    if (line.size() != 2) return;
    if (line.key().starts_with('~')) {
      into_.lose(line, "map: a regular expression has no equivalent in Headgate; give each name a line");
      return line.take_all();
    }
    if (line.is("default")) {
      rest_ = {{}, line.value(), &line};
    } else if (line.key().empty()) {
      without_name_ = &line;
    } else {
      add_name(line);
    }
    line.take_all();
  }

  void add_name(Directive& line) {
    std::string name = line.key().starts_with('\\') ? line.key().substr(1) : line.key();
    if (key_ == NginxMapKey::kNegotiated) return add(std::move(name), line);
    name = ascii_lower(name);
    const bool is_pattern = name.starts_with('.') || name.find('*') != std::string::npos;
    if (!is_pattern) return add(std::move(name), line);
    if (!hostnames_) return into_.note(line, "map: the pattern matches no name without hostnames; left out");
    if (name.ends_with('*'))
      return into_.lose(line, "map: a pattern for the end of names has no equivalent in Headgate; left out");
    if (name.starts_with('.')) add(name.substr(1), line);
    add(name.starts_with('.') ? "*" + name : name, line);
    into_.lose(
        line,
        "map: \"*.\" stands for one label in Headgate, and for more in nginx; give names with more labels "
        "in front a line of their own");
  }

  void add(std::string name, Directive& line) { entries_.push_back({std::move(name), line.value(), &line}); }

  NginxLine& map_;
  NginxMapKey key_;
  Imported& into_;
  std::vector<NginxMapEntry> entries_;
  NginxMapEntry rest_;
  Directive* without_name_ = nullptr;
  bool hostnames_ = false;
};

/// Sets the routes of one listener.
class NginxRoutes {
 public:
  NginxRoutes(NginxScope& scope, const Directive& server, NginxStream& stream, config::Listener& listener,
              Imported& into)
      : scope_(scope), server_(server), stream_(stream), listener_(listener), into_(into) {}

  void read() {
    const bool prereads = scope_.take_switch("ssl_preread", false);
    Directive* line = scope_.find("proxy_pass");
    if (line == nullptr)
      return into_.lose(server_, "server: has no proxy_pass, and so no connection goes anywhere");
    if (!has_variable(line->value())) {
      listener_.backend = nginx_backend(line->value(), *line, scope_, stream_, into_);
      return line->take_all();
    }
    NginxLine* map = find_map(line->value());
    if (map == nullptr) return;  // named as a line that has no equal
    line->take_all();
    const std::string source = map->directive.value();
    if (source == "$ssl_preread_server_name") {
      pass_through(*map, prereads);
    } else if (source == "$ssl_server_name") {
      route(*map, NginxMapKey::kServerName);
    } else if (source == "$ssl_alpn_protocol") {
      route(*map, NginxMapKey::kNegotiated);
    } else {
      into_.lose(map->directive,
                 "map: only $ssl_preread_server_name, $ssl_server_name and $ssl_alpn_protocol have an equal");
      map->directive.take_all();
      for (NginxLine& entry : map->block) entry.directive.take_all();
    }
  }

 private:
  [[nodiscard]] NginxLine* find_map(const std::string& variable) const {
    const auto found = std::ranges::find_if(
        stream_.maps, [&variable](const NginxLine* one) { return one->directive.word(2) == variable; });
    return found == stream_.maps.end() ? nullptr : *found;
  }

  std::string backend_of(const NginxMapEntry& entry) {
    if (!has_variable(entry.place)) return nginx_backend(entry.place, *entry.line, scope_, stream_, into_);
    into_.lose(*entry.line, "map: a place that depends on a variable has no equivalent in Headgate");
    return {};
  }

  [[nodiscard]] bool offers(const std::string& protocol) const {
    return listener_.tls && std::ranges::find(listener_.tls->alpn, protocol) != listener_.tls->alpn.end();
  }

  /// The entries as routes; neighbours that lead to one backend are one route.
  void add_routes(const NginxMap& map, NginxMapKey key) {
    for (const NginxMapEntry& entry : map.entries()) {
      if (key == NginxMapKey::kNegotiated && !offers(entry.name)) {
        into_.note(*entry.line, "map: left out, because ssl_alpn does not offer this protocol");
        continue;
      }
      config::Route route;
      route.backend = backend_of(entry);
      if (route.backend.empty()) continue;
      route.passthrough = key == NginxMapKey::kHelloName;
      const bool joins = !listener_.routes.empty() && listener_.routes.back().backend == route.backend;
      config::Route& target =
          joins ? listener_.routes.back() : listener_.routes.emplace_back(std::move(route));
      (key == NginxMapKey::kNegotiated ? target.alpn : target.sni).push_back(entry.name);
    }
    if (map.rest().line != nullptr) listener_.backend = backend_of(map.rest());
  }

  /// A map of what a server with TLS knows.
  void route(NginxLine& line, NginxMapKey key) {
    NginxMap map(line, key, into_);
    map.read();
    if (listener_.tls) return add_routes(map, key);
    into_.note(line.directive, "map: is empty without \"listen ... ssl\", so its default holds");
    if (map.rest().line != nullptr) listener_.backend = backend_of(map.rest());
  }

  /// A map of the name in the ClientHello, which nginx relays as it came.
  void pass_through(NginxLine& line, bool prereads) {
    NginxMap map(line, NginxMapKey::kHelloName, into_);
    map.read();
    if (!prereads || listener_.tls) {
      into_.note(
          line.directive,
          "map: $ssl_preread_server_name is empty without ssl_preread, and behind \"listen ... ssl\", so "
          "the default holds");
      if (map.rest().line != nullptr) listener_.backend = backend_of(map.rest());
      return;
    }
    add_routes(map, NginxMapKey::kHelloName);
    if (!listener_.backend.empty()) {
      config::Route rest;
      rest.sni = {"*"};
      rest.passthrough = true;
      rest.backend = std::exchange(listener_.backend, {});
      listener_.routes.push_back(std::move(rest));
    }
    into_.note(line.directive,
               "a client that sends no TLS is refused, since routes by name read a ClientHello");
  }

  NginxScope& scope_;
  const Directive& server_;
  NginxStream& stream_;
  config::Listener& listener_;
  Imported& into_;
};

}  // namespace

void add_nginx_routes(NginxScope& scope, const Directive& server, NginxStream& stream,
                      config::Listener& listener, Imported& into) {
  NginxRoutes(scope, server, stream, listener, into).read();
}

}  // namespace headgate
