#include "snapshot/route_table.h"

#include <algorithm>
#include <array>

#include "base/server_name.h"
#include "tls/peer/peer_policy.h"

namespace headgate {
namespace {

bool matches_sni(std::string_view pattern, std::string_view name) {
  if (pattern == "*") return true;
  if (name.empty()) return false;
  if (!pattern.starts_with("*.")) return pattern == name;
  const std::string_view suffix = pattern.substr(1);
  return name.size() > suffix.size() && name.find('.') == name.size() - suffix.size() &&
         name.ends_with(suffix);
}

bool sni_holds(const config::Route& route, std::string_view name) {
  return route.sni.empty() ||
         std::any_of(route.sni.begin(), route.sni.end(),
                     [&](const std::string& pattern) { return matches_sni(pattern, name); });
}

bool alpn_holds(const config::Route& route, std::string_view protocol) {
  return route.alpn.empty() || std::find(route.alpn.begin(), route.alpn.end(), protocol) != route.alpn.end();
}

bool spiffe_holds(const config::Route& route, std::span<const std::string> ids) {
  return route.spiffe.empty() || std::any_of(ids.begin(), ids.end(), [&](const std::string& id) {
           return std::any_of(route.spiffe.begin(), route.spiffe.end(),
                              [&](const std::string& pattern) { return matches_uri(pattern, id); });
         });
}

bool holds(const std::vector<std::string>& wanted, const PrivateLink* link, std::string PrivateLink::* id) {
  return wanted.empty() || (link != nullptr && std::ranges::find(wanted, link->*id) != wanted.end());
}

/// The first condition on the private link that does not hold.
RouteMatch match_link(const config::Route& route, const PrivateLink* link) {
  if (!holds(route.aws_vpc_endpoint, link, &PrivateLink::aws_vpc_endpoint))
    return RouteMatch::kOtherVpcEndpoint;
  if (!holds(route.azure_private_link, link, &PrivateLink::azure_private_link))
    return RouteMatch::kOtherPrivateLink;
  if (!holds(route.gcp_psc_connection, link, &PrivateLink::gcp_psc_connection))
    return RouteMatch::kOtherPscConnection;
  return RouteMatch::kMatches;
}

bool link_holds(const config::Route& route, const PrivateLink* link) {
  return !route.asks_for_link() || match_link(route, link) == RouteMatch::kMatches;
}

/// The lists of routes that may match a name, merged in ascending order.
class Candidates {
 public:
  void add(std::span<const std::uint32_t> list) {
    if (!list.empty()) lists_[count_++] = list;
  }

  /// The least index left, taken off every list that has it.
  std::optional<std::uint32_t> next() {
    std::optional<std::uint32_t> least;
    for (std::size_t i = 0; i < count_; ++i) {
      if (!lists_[i].empty() && (!least || lists_[i].front() < *least)) least = lists_[i].front();
    }
    for (std::size_t i = 0; least && i < count_; ++i) {
      if (!lists_[i].empty() && lists_[i].front() == *least) lists_[i] = lists_[i].subspan(1);
    }
    return least;
  }

 private:
  // Without a condition, the exact name, and the name with a star for its first label.
  std::array<std::span<const std::uint32_t>, 3> lists_;
  std::size_t count_ = 0;
};

}  // namespace

std::string_view name(RouteMatch match) {
  switch (match) {
    case RouteMatch::kMatches:
      return "matches";
    case RouteMatch::kOtherSni:
      return "sni does not match";
    case RouteMatch::kOtherAlpn:
      return "alpn does not match";
    case RouteMatch::kOtherSpiffe:
      return "spiffe does not match";
    case RouteMatch::kOtherVpcEndpoint:
      return "aws_vpc_endpoint does not match";
    case RouteMatch::kOtherPrivateLink:
      return "azure_private_link does not match";
    case RouteMatch::kOtherPscConnection:
      return "gcp_psc_connection does not match";
  }
  return "matches";
}

RouteTable::RouteTable(const config::Listener& listener)
    : routes_(listener.routes), default_backend_(listener.backend) {
  for (std::uint32_t i = 0; i < routes_.size(); ++i) {
    config::Route& route = routes_[i];
    has_passthrough_ = has_passthrough_ || route.passthrough;
    if (route.sni.empty()) no_condition_.push_back(i);
    for (std::string& pattern : route.sni) {
      pattern = NormalName(pattern).view();
      add(i, pattern);
    }
  }
}

void RouteTable::add(std::uint32_t index, const std::string& pattern) {
  Indexes& list = pattern == "*"              ? no_condition_
                  : pattern.starts_with("*.") ? under_[pattern.substr(2)]
                                              : exact_[pattern];
  if (list.empty() || list.back() != index) list.push_back(index);
}

/// The first route in order whose `sni` matches and for which `accept` returns true.
template <class Accept>
const config::Route* RouteTable::find_first(std::string_view sni, const Accept& accept) const {
  Candidates candidates;
  candidates.add(no_condition_);
  if (!sni.empty()) {
    if (const auto entry = exact_.find(sni); entry != exact_.end()) candidates.add(entry->second);
    if (const auto dot = sni.find('.'); !under_.empty() && dot != sni.npos) {
      if (const auto entry = under_.find(sni.substr(dot + 1)); entry != under_.end())
        candidates.add(entry->second);
    }
  }
  while (const auto index = candidates.next()) {
    if (accept(routes_[*index])) return &routes_[*index];
  }
  return nullptr;
}

RouteDecision RouteTable::decision(const config::Route* route) const {
  if (route == nullptr) return {std::nullopt, default_backend_, false};
  return {static_cast<std::size_t>(route - routes_.data()), route->backend, route->passthrough};
}

RouteDecision RouteTable::route(const RouteQuestion& question) const {
  const NormalName sni(question.sni);
  return decision(find_first(sni.view(), [&](const config::Route& route) {
    return !route.passthrough && alpn_holds(route, question.alpn) &&
           spiffe_holds(route, question.spiffe_ids) && link_holds(route, question.link);
  }));
}

std::optional<RouteDecision> RouteTable::passthrough(const HelloQuestion& question) const {
  if (!has_passthrough_) return std::nullopt;
  const NormalName sni(question.sni);
  const config::Route* first = find_first(sni.view(), [&](const config::Route& route) {
    if (!link_holds(route, question.link)) return false;
    return route.alpn.empty() ||
           std::any_of(question.alpn.begin(), question.alpn.end(),
                       [&](std::string_view protocol) { return alpn_holds(route, protocol); });
  });
  if (first == nullptr || !first->passthrough) return std::nullopt;
  return decision(first);
}

RouteMatch RouteTable::evaluate(std::size_t index, const RouteQuestion& question) const {
  const config::Route& route = routes_[index];
  const NormalName sni(question.sni);
  if (!sni_holds(route, sni.view())) return RouteMatch::kOtherSni;
  if (!alpn_holds(route, question.alpn)) return RouteMatch::kOtherAlpn;
  if (!spiffe_holds(route, question.spiffe_ids)) return RouteMatch::kOtherSpiffe;
  return match_link(route, question.link);
}

}  // namespace headgate
