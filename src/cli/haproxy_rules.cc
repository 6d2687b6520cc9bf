#include "cli/haproxy_rules.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include "base/ascii.h"
#include "cli/import_words.h"

namespace headgate {
namespace {

std::optional<HaproxyFetch> fetch_of(const std::string& name) {
  static const std::map<std::string_view, HaproxyFetch> fetches = {
      {"ssl_fc_sni", HaproxyFetch::kServerName},
      {"ssl_fc_sni,lower", HaproxyFetch::kServerName},
      {"req_ssl_sni", HaproxyFetch::kHelloName},
      {"req.ssl_sni", HaproxyFetch::kHelloName},
      {"req_ssl_sni,lower", HaproxyFetch::kHelloName},
      {"req.ssl_sni,lower", HaproxyFetch::kHelloName},
      {"ssl_fc_alpn", HaproxyFetch::kNegotiated},
      {"src", HaproxyFetch::kSource},
      {"req_ssl_hello_type", HaproxyFetch::kIsClientHello},
      {"req.ssl_hello_type", HaproxyFetch::kIsClientHello}};
  const auto found = fetches.find(name);
  return found == fetches.end() ? std::nullopt : std::optional(found->second);
}

/// HAProxy looks an IPv4 source up as ::ffff:192.0.2.7 too, so it is in ::/0. In Headgate it is not.
bool holds_mapped_ipv4(const Network& network) {
  const auto bytes = network.bytes();
  return network.prefix_bits() <= 80 &&
         std::ranges::all_of(bytes, [](std::uint8_t byte) { return byte == 0; });
}

/// One value of `test`. `ends`: it is the end of names.
bool add_value(HaproxyTest& test, const std::string& value, bool ends) {
  if (test.fetch == HaproxyFetch::kSource) {
    const auto network = network_of(value);
    if (!network) return false;
    test.networks.push_back(*network);
    if (holds_mapped_ipv4(*network)) test.networks.push_back(Network::parse("0.0.0.0/0").value_or(Network()));
    return true;
  }
  if (test.fetch == HaproxyFetch::kIsClientHello) return value == "1";
  if (value.find('*') != std::string::npos || (ends && !value.starts_with('.'))) return false;
  test.values.push_back((ends ? "*" : "") +
                        (test.fetch == HaproxyFetch::kNegotiated ? value : ascii_lower(value)));
  return true;
}

/// "FETCH [-i] [-m str|end|ip] VALUE...".
std::optional<HaproxyTest> test_of(const Words& words) {
  if (words.size() < 2) return std::nullopt;
  std::string name = words[0];
  bool ends = name.ends_with("_end");
  if (ends) name.resize(name.size() - 4);
  const auto fetch = fetch_of(name);
  if (!fetch) return std::nullopt;
  HaproxyTest test;
  test.fetch = *fetch;
  bool flags = true;
  std::size_t values = 0;
  for (std::size_t i = 1; i < words.size(); ++i) {
    if (flags && words[i] == "-i") continue;
    if (flags && words[i] == "--") {
      flags = false;
    } else if (flags && words[i] == "-m" && i + 1 < words.size()) {
      const std::string& method = words[++i];
      if (method != "str" && method != "end" && method != "ip") return std::nullopt;
      ends = method == "end";
    } else if ((flags && words[i].starts_with('-')) || !add_value(test, words[i], ends)) {
      return std::nullopt;
    } else {
      ++values;
    }
  }
  return values == 0 ? std::nullopt : std::optional(test);
}

/// The tests of the ACL `name`, which may stand on several lines.
bool add_acl(const std::string& name, const HaproxyProxy& proxy, HaproxyTerm& term,
             std::vector<Directive*>& lines) {
  bool found = false;
  for (Directive* line : proxy.lines) {
    if (!line->is("acl", name)) continue;
    const auto test = test_of(Words(line->words().begin() + 2, line->words().end()));
    if (!test) return false;
    term.tests.push_back(*test);
    lines.push_back(line);
    found = true;
  }
  return found;
}

/// One term at word `at`, which moves behind it.
bool add_term(const Directive& line, std::size_t& at, const HaproxyProxy& proxy,
              HaproxyCondition& condition) {
  HaproxyTerm term;
  std::string word = line.word(at++);
  if (word == "!") {
    term.negated = true;
    word = line.word(at++);
  } else if (word.starts_with('!')) {
    term.negated = true;
    word.erase(0, 1);
  }
  if (word.empty()) return false;
  if (word != "{") {
    if (!add_acl(word, proxy, term, condition.acls)) return false;
  } else {
    Words words;
    while (at < line.size() && line.word(at) != "}") words.push_back(line.word(at++));
    if (at++ >= line.size()) return false;
    const auto test = test_of(words);
    if (!test) return false;
    term.tests.push_back(*test);
  }
  condition.any_of.push_back(std::move(term));
  return true;
}

void take_with_acls(Directive& line, const HaproxyCondition& condition) {
  line.take_all();
  for (Directive* acl : condition.acls) acl->take_all();
}

// --- routes

/// The route of one test, or nullopt if its clients never come to `listener`.
std::optional<config::Route> route_of(const HaproxyTest& test, const config::Listener& listener,
                                      const std::string& backend) {
  config::Route route;
  route.backend = backend;
  if (test.fetch == HaproxyFetch::kNegotiated) {
    route.alpn = test.values;
    return listener.tls ? std::optional(route) : std::nullopt;
  }
  route.sni = test.values;
  route.passthrough = test.fetch == HaproxyFetch::kHelloName;
  return listener.tls.has_value() == route.passthrough ? std::nullopt : std::optional(route);
}

bool can_be_routes(const HaproxyCondition& condition) {
  return std::ranges::none_of(condition.any_of, [](const HaproxyTerm& term) {
    return term.negated || std::ranges::any_of(term.tests, [](const HaproxyTest& test) {
             return test.fetch == HaproxyFetch::kSource || test.fetch == HaproxyFetch::kIsClientHello;
           });
  });
}

/// The default backend of such a frontend gets the client's TLS too, whatever name the client asks for.
void pass_the_rest_through(config::Listener& listener, int line, Imported& into) {
  listener.tls.emplace();
  if (!listener.backend.empty()) {
    config::Route rest;
    rest.backend = std::exchange(listener.backend, {});
    listener.routes.push_back(std::move(rest));
  }
  for (config::Route& route : listener.routes) {
    if (route.passthrough) continue;
    route.sni = {"*"};
    route.passthrough = true;
  }
  into.note(line, "a client that sends no TLS is refused, since routes by name read a ClientHello");
}

/// A "*" of Headgate is one label, and HAProxy's end of a name may stand behind several.
void name_deeper_names(const Directive& line, const HaproxyCondition& condition, Imported& into) {
  for (const HaproxyTerm& term : condition.any_of) {
    for (const HaproxyTest& test : term.tests) {
      const auto is_end = [](const std::string& value) { return value.starts_with("*."); };
      if (test.fetch != HaproxyFetch::kNegotiated && std::ranges::any_of(test.values, is_end))
        into.lose(line.line(), "use_backend " + line.value() +
                                   ": the end of a name becomes \"*.\", which stands for one label; give "
                                   "names with more labels in front a route of their own");
    }
  }
}

void add_routes_of(Directive& line, const HaproxyCondition& condition, config::Listener& listener,
                   Imported& into) {
  take_with_acls(line, condition);
  name_deeper_names(line, condition, into);
  const std::string backend = label_of(line.value());
  if (condition.any_of.empty()) {
    config::Route route;
    route.backend = backend;
    listener.routes.push_back(std::move(route));
    return;
  }
  for (const HaproxyTerm& term : condition.any_of) {
    for (const HaproxyTest& test : term.tests) {
      if (auto route = route_of(test, listener, backend)) {
        listener.routes.push_back(std::move(*route));
      } else {
        into.note(line.line(), "use_backend " + line.value() + ": left out at " + listener.name +
                                   ", where it never matches: req.ssl_sni is for TLS that passes through, "
                                   "and ssl_fc_sni and ssl_fc_alpn are for TLS that ends here");
      }
    }
  }
}

// --- sources

/// A `tcp-request` line about sources.
struct SourceRule {
  Directive* line = nullptr;
  HaproxyCondition condition;
  bool rejects = false;
  bool unless = false;  ///< The action is for sources that are in none of the networks.

  [[nodiscard]] std::vector<Network> networks() const {
    std::vector<Network> all;
    for (const HaproxyTerm& term : condition.any_of) {
      for (const HaproxyTest& test : term.tests)
        all.insert(all.end(), test.networks.begin(), test.networks.end());
    }
    return all;
  }
};

/// The rules of one kind ("connection", "session", "content") in their order; a rule after an `accept` that
/// could exempt a client from it cannot be told by `allow` and `deny`.
class SourceRules {
 public:
  explicit SourceRules(config::Listener& listener) : listener_(listener) {}

  /// Takes the line of `rule` if it has an equal.
  void add(SourceRule rule) {
    if (!known_) return;
    const bool always = rule.condition.any_of.empty();
    if (!rule.rejects) {
      known_ = !always;  // no rule behind it is reached
      accepts_.push_back(std::move(rule));
    } else if (always) {
      reject_the_rest(rule);
    } else if (!accepts_.empty()) {
      known_ = false;
    } else if (rule.unless) {
      known_ = listener_.allow.empty() || listener_.allow == rule.networks();
      if (!known_) return;
      listener_.allow.clear();
      take(rule, listener_.allow);
    } else {
      take(rule, listener_.deny);
    }
  }
  /// A line that has no equal: later ones mean something else without it.
  void lose() { known_ = accepts_.empty() && known_; }
  /// An `accept` that no `reject` follows is what happens anyhow.
  void finish() {
    for (SourceRule& rule : accepts_) take_with_acls(*rule.line, rule.condition);
  }

 private:
  void reject_the_rest(SourceRule& rule) {
    if (accepts_.empty()) {
      for (const char* all : {"0.0.0.0/0", "::/0"})
        listener_.deny.push_back(Network::parse(all).value_or(Network()));
      rule.line->take_all();
    } else if (listener_.allow.empty() && std::ranges::none_of(accepts_, &SourceRule::unless)) {
      for (const SourceRule& accept : accepts_) take(accept, listener_.allow);
      rule.line->take_all();
      accepts_.clear();
    }
    known_ = false;  // no later rule is reached
  }

  static void take(const SourceRule& rule, std::vector<Network>& into) {
    const auto networks = rule.networks();
    into.insert(into.end(), networks.begin(), networks.end());
    take_with_acls(*rule.line, rule.condition);
  }

  config::Listener& listener_;
  std::vector<SourceRule> accepts_;  // not decided by a `reject` yet
  bool known_ = true;
};

std::optional<SourceRule> source_rule_of(Directive& line, const HaproxyProxy& proxy) {
  const std::string& action = line.word(2);
  if (action != "reject" && action != "silent-drop" && action != "accept") return std::nullopt;
  auto condition = haproxy_condition(line, 3, proxy);
  if (!condition || !condition->is_about(HaproxyFetch::kSource)) return std::nullopt;
  SourceRule rule;
  rule.line = &line;
  rule.rejects = action != "accept";
  rule.unless = line.word(3) == "unless";
  const bool negated =
      std::ranges::any_of(condition->any_of, [](const HaproxyTerm& term) { return term.negated; });
  if (negated && (condition->any_of.size() != 1 || rule.unless)) return std::nullopt;
  rule.unless = rule.unless || negated;
  rule.condition = std::move(*condition);
  return rule;
}

/// "content accept if { req.ssl_hello_type 1 }" and "content reject if !{ ... }": Headgate passes nothing
/// through but TLS.
bool only_waits_for_hello(const Directive& line, const HaproxyProxy& proxy) {
  if (line.value() != "content" || line.word(3) != "if") return false;
  const auto condition = haproxy_condition(line, 3, proxy);
  if (!condition || condition->any_of.size() != 1 || !condition->is_about(HaproxyFetch::kIsClientHello))
    return false;
  return condition->any_of[0].negated == (line.word(2) == "reject");
}

/// Takes a `content` rule behind "content accept if { req.ssl_hello_type 1 }": only connections that are not
/// TLS reach the rule, and Headgate refuses these.
void take_behind_hello(Directive& line, const HaproxyProxy& proxy, Imported& into) {
  const std::string& action = line.word(2);
  const auto condition = haproxy_condition(line, 3, proxy);
  if (!condition || (action != "reject" && action != "silent-drop" && action != "accept")) return;
  if (!condition->any_of.empty())
    into.note(line.line(),
              "tcp-request content " + action +
                  ": has no effect on TLS, which the rule on req.ssl_hello_type accepts before it");
  take_with_acls(line, *condition);
}

/// The rules of one `kind` in a proxy that passes TLS through or does not.
void add_sources_of(std::string_view kind, const HaproxyProxy& proxy, HaproxySources sources,
                    config::Listener& listener, Imported& into) {
  const bool passes =
      std::ranges::any_of(listener.routes, [](const config::Route& route) { return route.passthrough; });
  SourceRules rules(listener);
  bool behind_hello = false;
  for (Directive* line : proxy.lines) {
    if (!line->is("tcp-request", kind)) continue;
    if (behind_hello) {
      take_behind_hello(*line, proxy, into);
    } else if (passes && only_waits_for_hello(*line, proxy)) {
      line->take_all();
      behind_hello = line->word(2) == "accept";
    } else {
      // HAProxy asks "connection" rules about the balancer, and Headgate asks about the client in the header.
      const bool other_source = kind == "connection" && sources == HaproxySources::kInHeader;
      auto rule = other_source ? std::nullopt : source_rule_of(*line, proxy);
      if (rule) {
        rules.add(std::move(*rule));
      } else {
        rules.lose();
      }
    }
  }
  rules.finish();
}

}  // namespace

bool HaproxyCondition::is_about(HaproxyFetch fetch) const {
  return std::ranges::all_of(any_of, [fetch](const HaproxyTerm& term) {
    return std::ranges::all_of(term.tests, [fetch](const HaproxyTest& test) { return test.fetch == fetch; });
  });
}

std::optional<HaproxyCondition> haproxy_condition(const Directive& line, std::size_t from,
                                                  const HaproxyProxy& proxy) {
  HaproxyCondition condition;
  if (from >= line.size()) return condition;
  if (line.word(from) != "if" && line.word(from) != "unless") return std::nullopt;
  std::size_t at = from + 1;
  while (true) {
    if (!add_term(line, at, proxy, condition)) return std::nullopt;
    if (at >= line.size()) return condition;
    if (line.word(at) != "or" && line.word(at) != "||") return std::nullopt;
    ++at;
  }
}

void add_haproxy_routes(const HaproxyProxy& proxy, config::Listener& listener, Imported& into) {
  for (Directive* line : proxy.lines) {
    if (!line->is("use_backend") || line->size() < 2) continue;
    const auto condition = haproxy_condition(*line, 2, proxy);
    if (condition && line->word(2) != "unless" && can_be_routes(*condition) &&
        !line->value().starts_with('%'))
      add_routes_of(*line, *condition, listener, into);
  }
  const bool passes =
      std::ranges::any_of(listener.routes, [](const config::Route& route) { return route.passthrough; });
  if (passes) pass_the_rest_through(listener, proxy.section->line(), into);
}

void add_haproxy_sources(const HaproxyProxy& proxy, HaproxySources sources, config::Listener& listener,
                         Imported& into) {
  const bool other_src = std::ranges::any_of(proxy.lines, [](const Directive* line) {
    return line->is("tcp-request") && line->word(2) == "set-src";
  });
  if (other_src) return;  // "src" is no longer the client's address
  for (const std::string_view kind : {"connection", "session", "content"})
    add_sources_of(kind, proxy, sources, listener, into);
}

}  // namespace headgate
