#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/server_name.h"
#include "base/units.h"
#include "config/config.h"
#include "net/fd.h"
#include "tls/certificate/certificate_labels.h"
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

/// The CAs of a listener's clients.
struct ClientCas {
  std::string trust_domain;  ///< They vouch for the workloads of this SPIFFE trust domain; empty: for anyone.
  std::vector<std::vector<std::byte>> ders;
};

/// The rules for some clients of a listener, with the parts of them that come from files.
struct ClientRules {
  config::ClientAuth settings;
  bool only_count = false;                  ///< A dry run: a client that they refuse is counted and let in.
  std::vector<ClientCas> cas;               ///< Empty where no certificate is asked for.
  std::shared_ptr<const PeerPolicy> peers;  ///< Never nullptr.
  PeerChanges changes;
  /// The key to which sessions belong: a digest of listener name, client authentication, CAs and allow list.
  std::array<std::byte, 32> policy{};

  [[nodiscard]] bool ask() const { return settings.mode != config::ClientAuthMode::kNone; }
  /// The CAs that may vouch for this peer; nullptr where its trust domain, or its lack of one, has none.
  [[nodiscard]] const ClientCas* cas_of(const PeerIdentity& peer) const;
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
  /// The listener's own rules for clients first, then those of `client_auth.by_name` in their order.
  std::vector<ClientRules> rules;
  std::shared_ptr<const TicketSecrets> ticket_secrets;
  /// Open for appending; nullptr without keylog_file, or where KeyLogs::kLookAt was asked for.
  std::shared_ptr<const Fd> keylog;
  NamePatterns names;        ///< Of the rules: list N is rules[N].
  CertificateLabels labels;  ///< Of `certificates`, for metrics.

  /// The index of the rules for clients that ask for this name, which is empty for those that name none. A
  /// connection keeps to the name of its first ClientHello: its route goes by the same one.
  [[nodiscard]] std::size_t index_for(std::string_view server_name) const {
    return names.empty() ? 0 : names.find(server_name).value_or(0);
  }
  [[nodiscard]] const ClientRules& rules_for(std::string_view server_name) const {
    return rules[index_for(server_name)];
  }

  /// Reads all files that `listener.tls` names. It takes unchanged parts from `previous`, the same listener's
  /// before a reload (nullptr: none). `changed`, where it is known, are all files that may differ from those
  /// of `previous`: see CertificateStore::load(). `in_use` are the certificates of the process before, where
  /// there is no `previous`. Faults go to `out`; returns nullptr when one of them is an
  /// error. Supervisor only.
  [[nodiscard]] static std::shared_ptr<const ListenerTls> load(const config::Listener& listener,
                                                               const ListenerTls* previous,
                                                               const ChangedFiles* changed, WallTime now,
                                                               Diagnostics& out,
                                                               KeyLogs keylogs = KeyLogs::kOpen,
                                                               const CertificateStore* in_use = nullptr);
};

/// The peers for which a file of CAs is read.
enum class TrustedFor : std::uint8_t { kClients, kServers };

/// Returns the DER of all certificates in a PEM file of CAs, without those that the file itself declares not
/// to be trusted for such peers ("TRUSTED CERTIFICATE"). Faults go to `out`. Supervisor only.
[[nodiscard]] std::vector<std::vector<std::byte>> read_trusted_certificates(const std::string& file,
                                                                            TrustedFor peers,
                                                                            Diagnostics& out);

}  // namespace headgate
