#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "base/units.h"
#include "tls/handshake/listener_tls.h"
#include "tls/peer/peer_identity.h"
#include "tls/peer/peer_policy.h"

namespace headgate {

/// The result of a handshake with a client's certificate: the identity, if the chain was verified, and
/// whether the client may pass.
struct EvaluatedPeer {
  std::optional<PeerIdentity> identity;
  Authorization answer;
};

/// Evaluates a client that sends the certificates in `file` (PEM: its own first, then intermediates) as a
/// handshake under `rules` does. For `headgate explain`; reads the file.
///
/// Errors: kSystem or kInvalid, when the file cannot be read or holds no certificate.
[[nodiscard]] Result<EvaluatedPeer> evaluate_peer_file(const std::string& file, const ClientRules& rules,
                                                       WallTime now);

}  // namespace headgate
