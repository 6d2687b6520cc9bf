#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "backend/group.h"
#include "backend/server.h"
#include "config/config.h"
#include "snapshot/access_rules.h"
#include "snapshot/route_table.h"
#include "snapshot/shared_counters.h"
#include "tls/handshake/client_context.h"
#include "tls/handshake/diagnostic.h"
#include "tls/handshake/listener_tls.h"

namespace headgate {

/// A listener as one configuration has it. Immutable except for `counters`; shared by all workers.
struct ListenerPolicy {
  config::Listener config;
  AccessRules access;
  NetworkSet probes;   ///< Sources whose connections count as probes.
  NetworkSet proxies;  ///< Sources that must send a PROXY header.
  RouteTable routes;
  std::shared_ptr<const ListenerTls> tls;  ///< nullptr: clients send plaintext.
  std::shared_ptr<SharedCounters> counters;
};

/// A backend as one configuration has it.
struct BackendPolicy {
  std::shared_ptr<const BackendGroup> group;
  std::shared_ptr<const BackendTls> tls;  ///< nullptr: plaintext to the servers.
};

/// All that a reload replaces at once: configuration, certificates, groups, routes, access rules. Immutable.
/// A connection keeps alive the snapshot that it began with.
struct Snapshot {
  std::uint64_t generation = 0;
  config::Config config;
  std::vector<std::shared_ptr<const ListenerPolicy>> listeners;
  std::map<std::string, BackendPolicy> backends;

  /// Loads everything that `config` names. Unchanged parts are taken from `previous` (nullptr: none);
  /// `changed`, where it is known, are all files that may differ from what `previous` was made of. Every
  /// fault goes to `faults`, with the whole key; nullptr when one of them is an error. Reads files, and opens
  /// key logs as `keylogs` says; supervisor only.
  [[nodiscard]] static std::shared_ptr<const Snapshot> build(
      const config::Config& config, const Snapshot* previous, const ChangedFiles* changed,
      ServerDirectory& directory, WallTime now, Diagnostics& faults, KeyLogs keylogs = KeyLogs::kOpen);

  /// nullptr when there is none of that name.
  [[nodiscard]] const ListenerPolicy* find_listener(std::string_view name) const;
};

}  // namespace headgate
