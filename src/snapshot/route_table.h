#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "config/config.h"
#include "net/private_link.h"

namespace headgate {

/// The facts that routes are matched with. Views; an empty one means that the fact is absent.
struct RouteQuestion {
  std::string_view
      sni{};  ///< The name that the client sent, in upper or lower case, with or without a final dot.
  std::string_view alpn{};                    ///< The protocol negotiated.
  std::span<const std::string> spiffe_ids{};  ///< Of the client's verified certificate.
  const PrivateLink* link = nullptr;          ///< Of the PROXY header.
};

/// What a client offers before anything is negotiated.
struct HelloQuestion {
  std::string_view sni{};
  std::span<const std::string_view> alpn{};  ///< All the protocols that it offers.
  const PrivateLink* link = nullptr;         ///< Of the PROXY header.
};

/// Where a connection goes. The views live as long as the table.
struct RouteDecision {
  std::optional<std::size_t>
      route;                 ///< Index into the listener's `routes`; nullopt: the listener's own `backend`.
  std::string_view backend;  ///< Empty: refused, no route matches and the listener has no backend.
  bool passthrough = false;  ///< Relay the TLS bytes as they came.
};

/// Whether one route matches; if not, the first of its conditions that does not hold.
enum class RouteMatch : std::uint8_t {
  kMatches,
  kOtherSni,
  kOtherAlpn,
  kOtherSpiffe,
  kOtherVpcEndpoint,
  kOtherPrivateLink,
  kOtherPscConnection
};
/// "matches", "sni does not match", "aws_vpc_endpoint does not match" and so on, by the keys of a route.
[[nodiscard]] std::string_view name(RouteMatch match);

/// The routes of one listener, in their order: the first whose conditions all hold wins. Names are found by
/// hash, so that thousands of routes cost no more than one. Immutable; any thread; no allocation.
///
/// A name in `sni` is exact, or "*.example.com", where "*" is exactly one label, as in a certificate. A
/// client that sends no name matches none of these. "*" alone is every client, also one that sends no name.
/// `alpn` is exact. In `spiffe` a '*' stands for any characters but '/'.
class RouteTable {
 public:
  explicit RouteTable(const config::Listener& listener);

  /// Where a connection goes after TLS and authorization. Routes with `passthrough` are skipped.
  [[nodiscard]] RouteDecision route(const RouteQuestion& question) const;

  /// Whether a connection is passed through, decided by its ClientHello alone. Takes the routes in order. A
  /// route with `alpn` matches if the client offers one of its protocols. A route that terminates TLS ends
  /// the search, also if it has a condition on the identity, which is not known yet.
  [[nodiscard]] std::optional<RouteDecision> passthrough(const HelloQuestion& question) const;
  /// Whether any route passes through. If none does, passthrough() need not be called.
  [[nodiscard]] bool has_passthrough() const { return has_passthrough_; }

  /// Whether the route at `index` matches, by the rules of route(); for explaining.
  [[nodiscard]] RouteMatch evaluate(std::size_t index, const RouteQuestion& question) const;
  [[nodiscard]] const std::vector<config::Route>& routes() const { return routes_; }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  using Indexes = std::vector<std::uint32_t>;  // ascending
  using ByName = std::unordered_map<std::string, Indexes, Hash, std::equal_to<>>;

  void add(std::uint32_t index, const std::string& pattern);
  template <class Accept>
  [[nodiscard]] const config::Route* find_first(std::string_view sni, const Accept& accept) const;
  [[nodiscard]] RouteDecision decision(const config::Route* route) const;

  std::vector<config::Route> routes_;
  std::string default_backend_;
  bool has_passthrough_ = false;
  ByName exact_;
  ByName under_;          // "example.com" for "*.example.com"
  Indexes no_condition_;  // no `sni` at all, or "*"
};

}  // namespace headgate
