#include "cli/nginx_access.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/import_words.h"

namespace headgate {
namespace {

const char* const kOtherSource =
    ": nginx means the balancer, since no set_real_ip_from is given, and Headgate the client that the PROXY "
    "header names";

/// One `allow` or `deny`.
struct NginxNetworkRule {
  Directive* line = nullptr;
  bool allows = false;
  std::vector<Network> networks;
  [[nodiscard]] bool is_for_all() const { return line->value() == "all"; }
};

std::vector<Network> all_networks() {
  return {Network::parse("0.0.0.0/0").value_or(Network()), Network::parse("::/0").value_or(Network())};
}

/// Whether an address can lie in both. IPv4 is in no network of IPv6.
bool networks_overlap(const Network& one, const Network& other) {
  const auto is_ipv4 = [](const Network& network) {
    return network.prefix_bits() >= 96 && network.bytes()[10] == 0xff && network.bytes()[11] == 0xff;
  };
  if (is_ipv4(one) != is_ipv4(other)) return false;
  const int shared = std::min(one.prefix_bits(), other.prefix_bits());
  for (int bit = 0; bit < shared; ++bit) {
    const auto index = static_cast<std::size_t>(bit / 8);
    if (((one.bytes()[index] ^ other.bytes()[index]) & (0x80 >> (bit % 8))) != 0) return false;
  }
  return true;
}

bool overlap(const std::vector<Network>& some, const std::vector<Network>& others) {
  return std::ranges::any_of(some, [&others](const Network& one) {
    return std::ranges::any_of(others, [&one](const Network& other) { return networks_overlap(one, other); });
  });
}

/// The rules up to the first one for all, behind which none is reached.
std::vector<NginxNetworkRule> reached_rules(NginxScope& scope, Imported& into) {
  std::vector<NginxNetworkRule> rules;
  bool decided = false;
  for (Directive* line : scope.all_of({"allow", "deny"})) {
    const auto network = network_of(line->value());
    if (!network && line->value() != "all") continue;  // "unix:" and faults are named as what they are
    line->take(0);
    line->take(1);
    if (decided) {
      into.note(*line,
                line->key() + " " + line->value() + ": left out, because a rule for all stands before it");
      continue;
    }
    NginxNetworkRule& rule = rules.emplace_back();
    rule.line = line;
    rule.allows = line->is("allow");
    rule.networks = network ? std::vector{*network} : all_networks();
    decided = !network;
  }
  return rules;
}

void append(std::vector<Network>& networks, const std::vector<Network>& more) {
  networks.insert(networks.end(), more.begin(), more.end());
}

}  // namespace

void add_nginx_networks(NginxScope& scope, NginxSource source, config::Listener& listener, Imported& into) {
  const auto rules = reached_rules(scope, into);
  std::vector<Network> allowed;
  const bool ends_denied = !rules.empty() && rules.back().is_for_all() && !rules.back().allows;
  for (const NginxNetworkRule& rule : rules) {
    if (source == NginxSource::kBalancer) into.lose(*rule.line, rule.line->key() + kOtherSource);
    if (rule.allows) {
      if (!rule.is_for_all()) append(allowed, rule.networks);
    } else if (!rule.is_for_all()) {
      append(listener.deny, rule.networks);
      if (overlap(allowed, rule.networks))
        into.lose(
            *rule.line,
            "deny: an allow before it makes an exception, and in Headgate deny holds for all of its network");
    }
  }
  if (!ends_denied) return;
  if (allowed.empty()) append(listener.deny, all_networks());
  listener.allow = std::move(allowed);
}

void add_nginx_limits(NginxScope& scope, NginxSource source, NginxStream& stream, config::Listener& listener,
                      Imported& into) {
  if (scope.take_switch("limit_conn_dry_run", false)) {
    for (Directive* line : scope.all("limit_conn")) {
      into.note(*line, "limit_conn: left out, because limit_conn_dry_run is on");
      line->take_all();
    }
  }
  for (Directive* line : scope.all("limit_conn")) {
    const auto zone = stream.zones.find(line->value());
    const auto number = number_of(line->word(2));
    if (line->is_taken(0) || zone == stream.zones.end() || !number || *number == 0) continue;
    const std::string& key = zone->second->value();
    if (key != "$binary_remote_addr" && key != "$remote_addr") continue;
    line->take_all();
    zone->second->take_all();
    std::uint32_t& most = listener.limits.max_connections_per_source;
    most = most == 0 ? *number : std::min(most, *number);
    if (source == NginxSource::kBalancer) into.lose(*line, std::string("limit_conn") + kOtherSource);
    if (++stream.zone_users[zone->first] > 1)
      into.lose(*line,
                "limit_conn: several servers count in this zone together, and in Headgate each for itself");
  }
}

}  // namespace headgate
