#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "net/resolved_address.h"

namespace headgate {

/// When to look a name up again: at the end of its TTL, within bounds; after a failure soon, then less and
/// less often.
class LookupSchedule {
 public:
  static constexpr std::chrono::seconds kMinTtl{1};
  static constexpr std::chrono::seconds kMaxTtl{300};
  static constexpr std::chrono::seconds kFirstRetry{1};
  static constexpr std::chrono::seconds kLastRetry{60};

  /// How long to wait after an answer that is good for `ttl`.
  [[nodiscard]] Duration after_answer(std::chrono::seconds ttl);
  /// How long to wait after a lookup that found no addresses; doubles with each failure in a row.
  [[nodiscard]] Duration after_failure();

 private:
  std::chrono::seconds retry_ = kFirstRetry;
};

/// Follows names: looks each one up, does so again when the answer has expired, and reports what it found. A
/// host has A and AAAA records, and /etc/hosts and "localhost" count as for the system's own resolver. A
/// service, "srv:" and its name, has SRV records, whose targets are hosts (RFC 2782). One thread of its own,
/// started when the first name is followed; a configuration without names costs nothing.
class Resolver {
 public:
  struct Options {
    std::string name_servers;  ///< "127.0.0.1:5353,..."; empty: those of /etc/resolv.conf.
    std::chrono::milliseconds query_timeout{2000};
    int tries = 3;
    /// Called on the resolver's thread when the last followed name has been looked up for the first time,
    /// well or badly: unanswered() is empty from then on, until other names are followed. Must not call
    /// back into the resolver.
    std::function<void()> on_first_answers = [] {};
  };

  using Found = Result<std::vector<ResolvedAddress>>;
  /// Called on the resolver's thread after every lookup, with the addresses (at least one; those of a host
  /// have port 0) or the reason why there are none. After a failure the addresses known before stay in use.
  /// Must not call back into the resolver.
  using Deliver = std::function<void(const std::string& name, const Found& found)>;

  Resolver(Options options, Deliver deliver);
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  /// From now on follows exactly `names`. New names are looked up at once. Names that were followed before
  /// keep the time of their next lookup, and their addresses are delivered again, for servers that are new.
  /// One caller at a time. Errors: kSystem when the thread cannot be started.
  Result<void> follow(std::vector<std::string> names);

  /// The followed names that have not been looked up once yet, well or badly. Any thread; never waits.
  [[nodiscard]] std::vector<std::string> unanswered() const;

 private:
  class Lookups;
  std::unique_ptr<Lookups> lookups_;
};

}  // namespace headgate
