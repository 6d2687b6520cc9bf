#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/units.h"
#include "tls/handshake/diagnostic.h"
#include "tls/peer/peer_identity.h"

namespace headgate {

/// The certificates that the issuers of a CRL file have revoked, for look-ups in constant time. Immutable,
/// shared by all workers; any thread.
///
/// A list that is past its nextUpdate is a fault when it is loaded. A list that passes it while it is in
/// force stays in force: what it revokes stays revoked.
class RevocationList {
 public:
  /// Reads PEM (any number of lists) or DER. Every list must be signed by one of `issuers` that may sign
  /// lists, be current and be complete: no delta, no issuingDistributionPoint, no critical extension of
  /// unknown meaning (RFC 5280, sections 5.2 and 6.3.3). Faults go to `out` under the name `file`; nullptr
  /// when one of them is an error.
  [[nodiscard]] static std::shared_ptr<const RevocationList> parse(std::string_view bytes,
                                                                   const std::string& file,
                                                                   const std::vector<X509*>& issuers,
                                                                   WallTime now, Diagnostics& out);

  [[nodiscard]] bool revokes(const IssuedKey& certificate) const;
  /// Whether one of the lists is by `issuer` (a trust_key()), so that revokes() knows about its certificates.
  [[nodiscard]] bool covers(const IssuedKey& issuer) const;
  /// The issuers that have a list in `before` and none here.
  [[nodiscard]] std::vector<IssuedKey> issuers_lost_since(const RevocationList& before) const;
  [[nodiscard]] std::size_t size() const { return size_; }
  /// The earliest nextUpdate of the lists.
  [[nodiscard]] WallTime next_update() const { return next_update_; }
  /// The certificates that this list revokes and `before` does not (nullptr: revokes none), to find their
  /// peers among the connections.
  [[nodiscard]] std::vector<IssuedKey> revoked_since(const RevocationList* before) const;

 private:
  /// `spellings`: the trust_key()s of its issuer, by each way in which the name is written.
  void add(X509_CRL* list, std::span<const IssuedKey> spellings);
  void insert(const IssuedKey& key);

  std::vector<IssuedKey> slots_;    // open addressing; a zero key is an empty slot
  std::vector<IssuedKey> issuers_;  // trust_key()s of the issuers
  std::size_t size_ = 0;
  WallTime next_update_ = WallTime::max();
};

}  // namespace headgate
