#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/close_reason.h"
#include "base/units.h"
#include "config/config.h"
#include "tls/peer/peer_identity.h"
#include "tls/peer/revocation.h"

namespace headgate {

/// Whether a peer may pass, and if not, why: `why` for the metric, `detail` a sentence for the operator. The
/// peer gets a TLS alert and nothing else.
struct Authorization {
  bool allowed = false;
  HandshakeFailure why = HandshakeFailure::kNone;
  std::string detail;

  /// Whether the peer's identity is proven all the same: the chain is good, but the allow list lacks the
  /// peer.
  [[nodiscard]] bool keeps_identity() const {
    return allowed || why == HandshakeFailure::kClientCertificateNotAllowed;
  }
};

/// The trust_key()s of the trusted authorities by the SPIFFE trust domain for whose workloads they vouch.
/// Those under "" vouch for anyone; then there is no other domain.
using TrustedKeys = std::map<std::string, std::vector<IssuedKey>, std::less<>>;

/// Decides which peers may pass: the allow list, revocation list and CAs of one configuration. It is asked in
/// the handshake, when a session is resumed, and for connected peers that a change may concern. Immutable,
/// shared by all workers; any thread.
class PeerPolicy {
 public:
  PeerPolicy(const config::ClientAuth& settings, TrustedKeys trusted,
             std::shared_ptr<const RevocationList> revocations);

  /// Evaluates a peer whose chain has been verified, now or when its session began. `peer` is nullptr for a
  /// peer without a certificate, which passes unless a certificate is required.
  [[nodiscard]] Authorization authorize(const PeerIdentity* peer, WallTime now) const;

  [[nodiscard]] const RevocationList* revocations() const { return revocations_.get(); }
  [[nodiscard]] const std::shared_ptr<const RevocationList>& shared_revocations() const {
    return revocations_;
  }
  [[nodiscard]] config::ClientAuthMode mode() const { return mode_; }

  /// The key of the first entry of the allow list that matches this peer, or of the empty list; nullopt if no
  /// entry matches. As long as the list has that entry, the peer need not be evaluated again.
  [[nodiscard]] std::optional<IssuedKey> admission_of(const PeerIdentity& peer) const;
  /// The keys by which to find the peers that passed under `before` and may not pass now: their allow entry,
  /// a trusted certificate or their issuer's revocation list was removed, or a certificate of their chain was
  /// revoked. No keys: every peer of `before` still passes. `before` must have the same mode.
  [[nodiscard]] std::vector<IssuedKey> stricter_since(const PeerPolicy& before) const;

 private:
  /// The authorities that may vouch for such a peer, sorted; empty without any.
  [[nodiscard]] std::span<const IssuedKey> trusted_for(std::string_view trust_domain) const;
  [[nodiscard]] std::vector<IssuedKey> distrusted_since(const PeerPolicy& before) const;
  [[nodiscard]] std::vector<IssuedKey> admissions() const;

  config::ClientAuthMode mode_;
  config::ClientAllow allow_;
  TrustedKeys trusted_;  // each sorted
  std::shared_ptr<const RevocationList> revocations_;
};

/// The refusal of a peer for whose trust domain, or lack of one, no CA may vouch.
[[nodiscard]] Authorization no_ca_for(const PeerIdentity& peer);

/// Whether `text` matches `pattern`, in which '*' stands for any characters but '/', also none. So the trust
/// domain of a SPIFFE ID, which ends at a slash, is never matched across it.
[[nodiscard]] bool matches_uri(std::string_view pattern, std::string_view text);
/// Whether a DNS name matches `pattern`, in which '*' stands for any characters but '.', at least one. Case
/// is ignored.
[[nodiscard]] bool matches_dns(std::string_view pattern, std::string_view text);

}  // namespace headgate
