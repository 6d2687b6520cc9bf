#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/units.h"
#include "config/config.h"
#include "net/fd.h"
#include "tls/certificate/certificate_store.h"
#include "tls/handshake/diagnostic.h"
#include "tls/handshake/session_tickets.h"
#include "tls/peer/peer_policy.h"

namespace headgate {

/// The changes since the ListenerTls before, for clients that are connected already.
struct PeerChanges {
  bool anyone = true;  ///< Another mode, or the first revocation lists: any client may be refused now.
  std::vector<IssuedKey> concerned{};  ///< PeerPolicy::stricter_since() the one before.
};

/// What becomes of the key logs that a configuration names: a process that serves opens them and makes those
/// that are not there. A command that only looks at the configuration changes no file.
enum class KeyLogs : std::uint8_t { kOpen, kLookAt };

/// The parts of a listener's TLS that come from files, read and checked once and shared by all workers.
/// Immutable; part of a snapshot. A worker makes its ServerContext from it.
struct ListenerTls {
  std::string listener;  ///< Its name.
  config::Tls settings;
  std::shared_ptr<const CertificateStore> certificates;
  std::vector<std::vector<std::byte>> client_ca_der;  ///< Empty without client authentication.
  std::shared_ptr<const PeerPolicy> peers;            ///< Never nullptr.
  PeerChanges changes;
  std::shared_ptr<const TicketSecrets> ticket_secrets;
  std::vector<std::string> missing_groups;  ///< Those of the settings that this OpenSSL lacks.
  /// Open for appending; nullptr without keylog_file, or where KeyLogs::kLookAt was asked for.
  std::shared_ptr<const Fd> keylog;
  /// The key to which sessions belong: a digest of listener name, client authentication, CAs and allow list.
  std::array<std::byte, 32> policy{};

  /// Reads all files that `listener.tls` names. It takes unchanged parts from `previous`, the same listener's
  /// before a reload (nullptr: none). `changed`, where it is known, are all files that may differ from those
  /// of `previous`: see CertificateStore::load(). Faults go to `out`; returns nullptr when one of them is an
  /// error. Supervisor only.
  [[nodiscard]] static std::shared_ptr<const ListenerTls> load(const config::Listener& listener,
                                                               const ListenerTls* previous,
                                                               const ChangedFiles* changed, WallTime now,
                                                               Diagnostics& out,
                                                               KeyLogs keylogs = KeyLogs::kOpen);
};

/// Returns the DER of all certificates in a PEM file of CAs. Faults go to `out`. Supervisor only.
[[nodiscard]] std::vector<std::vector<std::byte>> read_trusted_certificates(const std::string& file,
                                                                            Diagnostics& out);

}  // namespace headgate
