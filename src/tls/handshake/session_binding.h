#pragma once

#include <optional>
#include <span>
#include <vector>

#include "base/units.h"
#include "tls/certificate/certificate.h"
#include "tls/peer/peer_identity.h"

namespace headgate {

/// The data that a ticket protects in addition to TLS's own state: the session is bound to them.
struct SessionBinding {
  static constexpr std::size_t kPolicyBytes = 16;
  static constexpr std::size_t kMaxLinks = PeerIdentity::kMaxLinks;
  /// The most bytes of encode().
  static constexpr std::size_t kMostBytes =
      1 + 2 * kPolicyBytes + 8 + 8 + 1 + (1 + 2 * kMaxLinks) * sizeof(IssuedKey);
  std::array<std::byte, kPolicyBytes> policy{};       ///< The start of ListenerTls::policy.
  std::array<std::byte, kPolicyBytes> certificate{};  ///< The start of the served certificate's fingerprint.
  std::int64_t authenticated_at =
      0;  ///< Seconds since the epoch: the full handshake at the root of the session.
  // As in PeerIdentity; nothing without a client certificate. At most kMaxLinks of each.
  std::int64_t chain_not_after = 0;  ///< Seconds since the epoch.
  IssuedKey issued_by{};
  std::vector<IssuedKey> trust;
  std::vector<IssuedKey> chain;

  [[nodiscard]] std::vector<std::byte> encode() const;
  /// Returns nullopt when the data are not of this form.
  [[nodiscard]] static std::optional<SessionBinding> decode(std::span<const std::byte> bytes);
  bool operator==(const SessionBinding&) const = default;
};

}  // namespace headgate
