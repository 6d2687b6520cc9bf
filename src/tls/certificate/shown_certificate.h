#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "base/units.h"
#include "tls/handshake/listener_tls.h"
#include "tls/peer/peer_identity.h"
#include "tls/peer/peer_policy.h"

namespace headgate {

/// What a handshake makes of a client's certificate: who it is, once its chain is verified, and the answer.
struct JudgedPeer {
  std::optional<PeerIdentity> identity;
  Authorization answer;
};

/// Judges the client that shows the certificates in `file` (PEM: its own first, then intermediates) as a
/// handshake with a listener of `tls` does, which asks for one. For explaining; reads the file.
///
/// Errors: kSystem or kInvalid, when the file cannot be read or holds no certificate.
[[nodiscard]] Result<JudgedPeer> judge_peer_file(const std::string& file, const ListenerTls& tls,
                                                 WallTime now);

}  // namespace headgate
