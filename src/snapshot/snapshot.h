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
#include "snapshot/penalties.h"
#include "snapshot/process_counters.h"
#include "snapshot/route_table.h"
#include "snapshot/shared_counters.h"
#include "snapshot/source_paces.h"
#include "tls/handshake/admin_token.h"
#include "tls/handshake/client_context.h"
#include "tls/handshake/diagnostic.h"
#include "tls/handshake/listener_tls.h"

namespace headgate {

/// A listener as one configuration has it. Immutable, but for the objects that its limits count in; shared by
/// all workers.
struct ListenerPolicy {
  config::Listener config;
  AccessRules access;
  NetworkSet probes;   ///< Sources whose connections count as probes.
  NetworkSet proxies;  ///< Sources that must send a PROXY header.
  RouteTable routes;
  std::shared_ptr<const ListenerTls> tls;  ///< nullptr: clients send plaintext.
  std::shared_ptr<SharedCounters> counters;
  std::shared_ptr<SourcePaces> source_paces;  ///< nullptr: no limit needs them.
  std::shared_ptr<Penalties> penalties;       ///< nullptr: there are none.
  bool keeps_client_certificate = false;  ///< A backend wants the client's certificate in the PROXY header.
};

/// A backend as one configuration has it.
struct BackendPolicy {
  std::shared_ptr<const BackendGroup> group;
  std::shared_ptr<const BackendTls> tls;  ///< nullptr: plaintext to the servers.
};

struct Snapshot;

/// What was loaded before a snapshot is built. Borrows everything.
struct LoadedBefore {
  const Snapshot* snapshot = nullptr;         ///< Of this process; nullptr: the first is to come.
  const ChangedFiles* changed = nullptr;      ///< All files that may differ since then; nullptr: any may.
  const CertificatesInUse* in_use = nullptr;  ///< Of the process before, for a first snapshot; nullptr: none.
};

/// All that a reload replaces at once: configuration, certificates, groups, routes, access rules. Immutable,
/// but for the counters.
/// A connection keeps alive the snapshot that it began with.
struct Snapshot {
  std::uint64_t generation = 0;
  config::Config config;
  std::shared_ptr<ProcessCounters> counters;  ///< The same ones as in the snapshot before.
  std::vector<std::shared_ptr<const ListenerPolicy>> listeners;
  std::map<std::string, BackendPolicy> backends;
  std::shared_ptr<const AdminToken> admin_token;  ///< nullptr: the admin endpoint asks for none.

  /// Loads everything that `config` names, but for the unchanged parts of `before`. Every fault goes to
  /// `faults`, with the whole key; nullptr when one of them is an error. Reads files, and opens key logs as
  /// `keylogs` says; supervisor only.
  [[nodiscard]] static std::shared_ptr<const Snapshot> build(const config::Config& config,
                                                             const LoadedBefore& before,
                                                             ServerDirectory& directory, WallTime now,
                                                             Diagnostics& faults,
                                                             KeyLogs keylogs = KeyLogs::kOpen);

  /// nullptr when there is none of that name.
  [[nodiscard]] const ListenerPolicy* find_listener(std::string_view name) const;
};

}  // namespace headgate
