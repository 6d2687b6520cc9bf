#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/server_name.h"
#include "config/names.h"
#include "config/nearest.h"
#include "config/notation.h"
#include "config/validate.h"

namespace headgate::config {
namespace {

void check_certificates(const Listener& listener, const std::string& key, Faults& faults) {
  const Tls& tls = *listener.tls;
  const bool faulty = faults.concern(key + ".certificates") || faults.concern(key + ".certificate_dirs");
  if (tls.certificates.empty() && tls.certificate_dirs.empty() && !faulty && !only_passes_through(listener)) {
    faults.add(key, "needs \"certificates\" or \"certificate_dirs\"");
  }
  for (std::size_t index = 0; index < tls.certificates.size(); ++index) {
    const std::string certificate_key = key + ".certificates[" + std::to_string(index) + ']';
    if (!tls.certificates[index].certificate.empty() || faults.concern(certificate_key)) continue;
    faults.add(certificate_key, "needs \"certificate\": a PEM file, leaf first");
  }
}

/// These names are compared whole. A star may be meant: a certificate for "*.example.com" has it in its name.
void warn_of_stars(const std::vector<std::string>& names, const std::string& key, Faults& faults) {
  for (std::size_t index = 0; index < names.size(); ++index) {
    if (names[index].find('*') == std::string::npos) continue;
    faults.warn(key + '[' + std::to_string(index) + ']',
                quote(names[index]) +
                    " matches only a name that has the \"*\" in it: \"*\" is a pattern in "
                    "spiffe, uri and dns alone");
  }
}

/// A pattern that no SPIFFE ID can match admits nobody, which its author did not mean.
void warn_of_spiffe_patterns(const ClientAuth& client_auth, const std::string& key, Faults& faults) {
  constexpr std::size_t kScheme = std::string_view("spiffe://").size();
  for (std::size_t index = 0; index < client_auth.allow.spiffe.size(); ++index) {
    const std::string& pattern = client_auth.allow.spiffe[index];
    const std::string item = key + '[' + std::to_string(index) + ']';
    const std::size_t slash = pattern.find('/', kScheme);
    const std::string domain = pattern.substr(kScheme, slash - kScheme);
    const bool one_domain = domain.find('*') == domain.npos;
    if (slash == pattern.npos) {
      faults.warn(item,
                  quote(pattern) + " matches no workload, since the SPIFFE ID of a workload has a path");
    } else if (one_domain && !is_trust_domain(domain)) {
      faults.warn(item,
                  quote(pattern) + " matches no SPIFFE ID: a trust domain is in lower case and has no port");
    } else if (one_domain && !client_auth.domain_cas.empty() && !client_auth.domain_cas.contains(domain)) {
      faults.warn(item, quote(pattern) + " matches no client: \"ca\" has no file for this trust domain");
    }
  }
}

void check_client_auth(const ClientAuth& client_auth, const std::string& key, Faults& faults) {
  if (faults.concern(key)) return;
  const bool asks = client_auth.mode != ClientAuthMode::kNone;
  const bool has_ca = !client_auth.ca.empty() || !client_auth.domain_cas.empty();
  if (asks && !has_ca) {
    faults.add(key, "needs \"ca\": the PEM file of the CAs of the clients");
  }
  if (!asks && (has_ca || !client_auth.crl.empty() || !client_auth.allow.empty())) {
    faults.add(key, "has no effect, because mode is none; write \"mode: required\" or leave the rest out");
  }
  if (client_auth.mode == ClientAuthMode::kOptional && !client_auth.allow.empty()) {
    faults.warn(key + ".allow", "a client without a certificate passes, because mode is optional");
  }
  warn_of_spiffe_patterns(client_auth, key + ".allow.spiffe", faults);
  warn_of_stars(client_auth.allow.common_name, key + ".allow.common_name", faults);
  warn_of_stars(client_auth.allow.organizational_unit, key + ".allow.organizational_unit", faults);
}

/// Whether `pattern` has all names that `name` has, which may be a pattern itself.
bool covers(const std::string& pattern, const std::string& name) {
  NamePatterns one;
  one.add(pattern, 0);
  return one.find(name).has_value();
}

/// Where the clients that ask for a name come to, and whether they need a certificate.
class ClientsByName {
 public:
  explicit ClientsByName(const Listener& listener) : listener_(listener) {
    for (std::uint32_t index = 0; index < listener.routes.size(); ++index) {
      const Route& route = listener.routes[index];
      for (const std::string& pattern : route.sni) add(pattern, index, routes_);
      if (any_route_ == kNone && is_any_name(route) && route.alpn.empty() && route.spiffe.empty())
        any_route_ = index;
    }
    const auto& by_name = listener.tls->client_auth_by_name;
    for (std::uint32_t index = 0; index < by_name.size(); ++index) {
      for (const std::string& pattern : by_name[index].sni) add(pattern, index, rules_);
    }
    for (const std::string& name : names_) clients_.push_back({name, needs_certificate(name), backend(name)});
  }

  /// The clients that ask for one name.
  struct Clients {
    std::string name;  // a pattern of a route or of rules, or "" for any other name
    bool need_certificate;
    std::string backend;
  };
  [[nodiscard]] const std::vector<Clients>& all() const { return clients_; }

  /// The backend of the clients that ask for `name`, as far as names decide.
  [[nodiscard]] const std::string& backend(const std::string& name) const {
    const std::uint32_t route = std::min(any_route_, routes_.find(name).value_or(kNone));
    return route == kNone ? listener_.backend : listener_.routes[route].backend;
  }

 private:
  static constexpr auto kNone = std::numeric_limits<std::uint32_t>::max();

  void add(const std::string& pattern, std::uint32_t index, NamePatterns& patterns) {
    if (pattern == "*") return;
    patterns.add(pattern, index);
    names_.push_back(pattern);
  }
  [[nodiscard]] bool needs_certificate(const std::string& name) const {
    const Tls& tls = *listener_.tls;
    const auto rules = rules_.find(name);
    return (rules ? tls.client_auth_by_name[*rules].rules : tls.client_auth).mode ==
           ClientAuthMode::kRequired;
  }

  const Listener& listener_;
  NamePatterns routes_, rules_;
  std::uint32_t any_route_ = kNone;
  std::vector<std::string> names_{""};
  std::vector<Clients> clients_;
};

/// An application that goes by the name in its own protocol, as HTTP does by `Host`, may serve one name to a
/// client that asked TLS for another.
void warn_of_way_round(const ClientsByName& clients, const NamedClientAuth& named, const std::string& key,
                       Faults& faults) {
  const bool strict = named.rules.mode == ClientAuthMode::kRequired;
  for (std::size_t at = 0; at < named.sni.size(); ++at) {
    const std::string& name = named.sni[at];
    const std::string& backend = clients.backend(name);
    const auto other = std::ranges::find_if(clients.all(), [&](const ClientsByName::Clients& one) {
      return one.need_certificate != strict && one.backend == backend && !covers(name, one.name);
    });
    if (other == clients.all().end()) continue;
    const std::string other_name = other->name.empty() ? "another name" : quote(other->name);
    const std::string open = strict ? other_name : quote(name);
    const std::string closed = strict ? quote(name) : other_name;
    faults.warn(key + ".sni[" + std::to_string(at) + ']',
                "clients that ask for " + open +
                    " reach the same backend without a certificate, and there may ask for " + closed +
                    " (HTTP's Host); give the name a route to a backend of its own");
  }
}

/// Rules for a name that Headgate does not end TLS for ask nobody for a certificate.
void warn_of_passthrough(const Listener& listener, const NamedClientAuth& named, const std::string& key,
                         Faults& faults) {
  if (named.rules.mode == ClientAuthMode::kNone) return;
  for (std::size_t at = 0; at < named.sni.size(); ++at) {
    const auto takes = [&](const Route& route) {
      const auto has_it = [&](const std::string& pattern) { return covers(pattern, named.sni[at]); };
      return route.sni.empty() || std::ranges::any_of(route.sni, has_it);
    };
    const auto route = std::ranges::find_if(listener.routes, takes);
    if (route == listener.routes.end() || !route->passthrough || !route->alpn.empty()) continue;
    faults.warn(key + ".sni[" + std::to_string(at) + ']',
                "these rules have no effect for " + quote(named.sni[at]) + ": routes[" +
                    std::to_string(route - listener.routes.begin()) +
                    "] passes it through, and only the backend can ask for a certificate");
  }
}

/// The names of the entries, as far as they have been looked at.
class NamesSeen {
 public:
  /// Looks at `name` of the entry at `index`, whose path is `entry`; `key` is the path of the name.
  void add(const std::string& name, std::size_t index, const std::string& entry, const std::string& key,
           Faults& faults) {
    const std::string normal(NormalName(name).view());
    const auto [same, fresh] = same_.emplace(normal, entry);
    if (!fresh)
      return faults.add(key, quote(name) + " is in " + same->second + " already, which counts; keep one");
    const auto wider = std::ranges::find_if(
        wildcards_, [&](const Wildcard& one) { return one.index < index && covers(one.pattern, name); });
    if (wider != wildcards_.end())
      faults.add(key, quote(name) + " is under " + quote(wider->pattern) + " of " + wider->entry +
                          ", which comes first and counts; put this entry before that one");
    if (name.starts_with("*.")) wildcards_.push_back({name, index, entry});
  }

 private:
  struct Wildcard {
    std::string pattern;
    std::size_t index;
    std::string entry;
  };
  std::map<std::string, std::string> same_;  // from a name to its entry
  std::vector<Wildcard> wildcards_;
};

void check_by_name(const Listener& listener, const std::string& key, Faults& faults) {
  const auto& by_name = listener.tls->client_auth_by_name;
  if (by_name.empty()) return;
  NamesSeen seen;
  const ClientsByName clients(listener);
  for (std::size_t index = 0; index < by_name.size(); ++index) {
    const NamedClientAuth& named = by_name[index];
    const std::string entry = key + '[' + std::to_string(index) + ']';
    if (named.sni.empty() && !faults.concern(entry))
      faults.add(entry, "needs \"sni\": the names for which these rules are");
    for (std::size_t at = 0; at < named.sni.size(); ++at)
      seen.add(named.sni[at], index, entry, entry + ".sni[" + std::to_string(at) + ']', faults);
    check_client_auth(named.rules, entry, faults);
    warn_of_passthrough(listener, named, entry, faults);
    warn_of_way_round(clients, named, entry, faults);
  }
}

void check_dry_run(const Tls& tls, const std::string& key, Faults& faults) {
  const auto found = std::find(tls.dry_run.begin(), tls.dry_run.end(), "client_auth");
  if (found == tls.dry_run.end()) return;
  const std::string item = key + '[' + std::to_string(found - tls.dry_run.begin()) + ']';
  if (!asks_for_certificates(tls)) {
    faults.add(item, "has no effect: tls.client_auth asks no client for a certificate");
  } else {
    faults.warn(item, "every client is let in: client_auth only counts the clients that it would refuse");
  }
}

void check_resumption(const Resumption& resumption, const std::string& key, Faults& faults) {
  const std::chrono::seconds kept = kMaxPastTicketKeys * resumption.rotate_every;
  if (!resumption.tickets || resumption.lifetime <= kept) return;
  faults.warn(key + ".lifetime", "a ticket may resume nothing after " + duration_text(kept) +
                                     ": its key is kept for " + std::to_string(kMaxPastTicketKeys) +
                                     " times rotate_every");
}

void check_versions(const Tls& tls, const std::string& key, Faults& faults) {
  if (tls.min_version > tls.max_version) {
    faults.add(key + ".min_version", "is above max_version; no client could connect");
  }
  const bool tls13_only = tls.min_version == TlsVersion::kTls13;
  if (tls13_only && !tls.ciphers.empty())
    faults.warn(key + ".ciphers", "has no effect: these are for TLS 1.2");
  if (tls.max_version == TlsVersion::kTls12 && !tls.cipher_suites.empty()) {
    faults.warn(key + ".cipher_suites", "has no effect: these are for TLS 1.3");
  }
}

void check_groups(const Tls& tls, const std::string& key, Faults& faults) {
  if (tls.groups.empty() && !faults.concern(key))
    faults.add(key, "cannot be empty; leave it out for the defaults");
  for (std::size_t index = 0; index < tls.groups.size(); ++index) {
    const std::string& group = tls.groups[index];
    if (std::find(known_groups().begin(), known_groups().end(), group) != known_groups().end()) continue;
    faults.warn(key + '[' + std::to_string(index) + ']',
                quote(group) + " is not a group that a TLS library has by itself" +
                    suggestion(group, known_groups()));
  }
}

/// Protocols that clients of TLS name today: IANA, "TLS Application-Layer Protocol Negotiation (ALPN)
/// Protocol IDs". Any other name is a protocol of the operator's own, or a slip of the pen if it is near to
/// one of these.
const std::vector<std::string>& well_known_protocols() {
  static const std::vector<std::string> kProtocols{
      "http/1.0",   "http/1.1",   "h2",      "ftp",         "imap",        "pop3",       "managesieve",
      "mqtt",       "dot",        "irc",     "xmpp-client", "xmpp-server", "postgresql", "acme-tls/1",
      "radius/1.0", "radius/1.1", "tds/8.0", "sip/2",       "nntp",        "coap"};
  return kProtocols;
}

void warn_of_protocols(const std::vector<std::string>& protocols, const std::string& key, Faults& faults) {
  for (std::size_t index = 0; index < protocols.size(); ++index) {
    const auto& known = well_known_protocols();
    if (std::ranges::find(known, protocols[index]) != known.end()) continue;
    const std::string meant = protocols[index].size() < 4 ? "" : suggestion(protocols[index], known);
    if (!meant.empty())
      faults.warn(key + '[' + std::to_string(index) + ']',
                  quote(protocols[index]) + " is not a registered protocol" + meant);
  }
}

}  // namespace

bool asks_for_certificates(const Tls& tls) {
  return tls.client_auth.mode != ClientAuthMode::kNone ||
         std::any_of(tls.client_auth_by_name.begin(), tls.client_auth_by_name.end(),
                     [](const NamedClientAuth& one) { return one.rules.mode != ClientAuthMode::kNone; });
}

bool only_passes_through(const Listener& listener) {
  return listener.backend.empty() && !listener.routes.empty() &&
         std::ranges::all_of(listener.routes, &Route::passthrough);
}

void validate_tls(const Listener& listener, const std::string& key, Faults& faults) {
  const Tls& tls = *listener.tls;
  check_certificates(listener, key, faults);
  check_versions(tls, key, faults);
  check_groups(tls, key + ".groups", faults);
  warn_of_protocols(tls.alpn, key + ".alpn", faults);
  check_client_auth(tls.client_auth, key + ".client_auth", faults);
  check_by_name(listener, key + ".client_auth.by_name", faults);
  check_dry_run(tls, key + ".dry_run", faults);
  check_resumption(tls.resumption, key + ".resumption", faults);
  if (!tls.keylog_file.empty()) {
    faults.warn(key + ".keylog_file",
                "anyone who can read " + quote(tls.keylog_file) + " can decrypt the traffic");
  }
}

}  // namespace headgate::config
