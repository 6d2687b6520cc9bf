#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/close_reason.h"
#include "base/units.h"
#include "config/config.h"
#include "tls/peer_identity.h"
#include "tls/revocation.h"

namespace headgate {

/// Whether a peer may pass, and if not, why: `why` for the metric, `detail` a sentence for the operator. The
/// peer itself hears a TLS alert and nothing else.
struct Authorization {
  bool allowed = false;
  HandshakeFailure why = HandshakeFailure::kNone;
  std::string detail;
};

/// Who may pass among those the CA vouches for: today's allow list, revocation list and anchors. Asked in the
/// handshake, again when a session is resumed, and again for connected peers whom a change may concern.
/// Immutable, shared by all workers; any thread.
class PeerPolicy {
 public:
  PeerPolicy(const config::ClientAuth& settings, std::vector<IssuedKey> anchors,
             std::shared_ptr<const RevocationList> revocations);

  /// Judges a peer whose chain has been verified, now or when its session began. `peer` is nullptr for one
  /// without a certificate, which passes unless one is required.
  [[nodiscard]] Authorization authorize(const PeerIdentity* peer, WallTime now) const;

  [[nodiscard]] const RevocationList* revocations() const { return revocations_.get(); }
  [[nodiscard]] const std::shared_ptr<const RevocationList>& shared_revocations() const {
    return revocations_;
  }
  [[nodiscard]] config::ClientAuthMode mode() const { return mode_; }

 private:
  [[nodiscard]] bool matches_allow_list(const PeerIdentity& peer) const;

  config::ClientAuthMode mode_;
  config::ClientAllow allow_;
  std::vector<IssuedKey> anchors_;  // sorted
  std::shared_ptr<const RevocationList> revocations_;
};

/// Whether `text` matches `pattern`, in which '*' stands for any characters but '/', also none. So the trust
/// domain of a SPIFFE ID, which ends at a slash, is never matched across it.
[[nodiscard]] bool matches_uri(std::string_view pattern, std::string_view text);
/// Whether a DNS name matches `pattern`, in which '*' stands for any characters but '.', at least one. Case
/// is ignored.
[[nodiscard]] bool matches_dns(std::string_view pattern, std::string_view text);

}  // namespace headgate
