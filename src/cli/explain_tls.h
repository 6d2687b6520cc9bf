#pragma once

#include "snapshot/snapshot.h"

namespace headgate {

/// Says the versions, groups and ciphers of a listener.
void explain_tls_settings(const config::Tls& tls);

/// Says what belongs to the chosen certificate: its canary and its OCSP staple.
void explain_certificate_extras(const ListenerTls& tls, const StoredCertificate& certificate, WallTime now);

/// Says what the dry runs of other policies than `client_auth` would do with this client.
void explain_dry_runs(const config::Tls& tls, const ClientHello& hello);

/// Says what holds for the connection from the handshake on: tickets, live revocation, its record layer, the
/// key log. `identified`: the client has shown a certificate that counts.
void explain_after_handshake(const ListenerTls& tls, const ClientRules& rules, bool identified);

}  // namespace headgate
