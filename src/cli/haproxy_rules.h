#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/haproxy_file.h"
#include "cli/import.h"
#include "config/config.h"
#include "net/address.h"

namespace headgate {

/// What a test looks at.
enum class HaproxyFetch {
  kServerName,     ///< ssl_fc_sni: of TLS that HAProxy terminates.
  kHelloName,      ///< req.ssl_sni: of bytes that are not decrypted.
  kNegotiated,     ///< ssl_fc_alpn.
  kSource,         ///< src.
  kIsClientHello,  ///< req.ssl_hello_type 1.
};

struct HaproxyTest {
  HaproxyFetch fetch = HaproxyFetch::kSource;
  std::vector<std::string> values;  ///< Names, "*.example.com" for `-m end .example.com`.
  std::vector<Network> networks;
};

/// An ACL or "{ ... }", perhaps after "!": it holds if one of its tests does.
struct HaproxyTerm {
  bool negated = false;
  std::vector<HaproxyTest> tests;
};

/// "if A or B", "unless A". An empty one always holds.
struct HaproxyCondition {
  std::vector<HaproxyTerm> any_of;
  std::vector<Directive*> acls;  ///< The lines that it is made of.

  /// Whether each test looks at `fetch`.
  [[nodiscard]] bool is_about(HaproxyFetch fetch) const;
};

/// The condition at word `from` of `line` of `proxy`; nullopt if Headgate has no equal for a part of it.
[[nodiscard]] std::optional<HaproxyCondition> haproxy_condition(const Directive& line, std::size_t from,
                                                                const HaproxyProxy& proxy);

/// Takes the `use_backend` lines of `proxy` that `listener` can have as routes.
void add_haproxy_routes(const HaproxyProxy& proxy, config::Listener& listener, Imported& into);

/// Where `proxy` learns who the client is: from TCP alone, or at one of its binds from a PROXY header.
enum class HaproxySources { kPeer, kInHeader };
/// Takes the `tcp-request` lines of `proxy` that are about the source alone, as `allow` and `deny` of
/// `listener`, in so far as their order does not matter.
void add_haproxy_sources(const HaproxyProxy& proxy, HaproxySources sources, config::Listener& listener,
                         Imported& into);

}  // namespace headgate
