#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <utility>

#include "base/units.h"
#include "tls/peer_identity.h"

namespace headgate {

/// The peers of a worker's connections, by each certificate of their chains and by when they expire: some 200
/// bytes for one, nothing for a connection without a client certificate. A connection is known by its id.
/// Everything takes logarithmic time. Loop thread of its worker.
class PeerIndex {
 public:
  void add(std::uint64_t id, const PeerIdentity& peer);
  /// `peer` as it was added.
  void remove(std::uint64_t id, const PeerIdentity& peer);

  /// The smallest id, from `from` on, in whose chain `certificate` is.
  [[nodiscard]] std::optional<std::uint64_t> find_issued(const IssuedKey& certificate,
                                                         std::uint64_t from) const;
  /// One whose certificate has expired by `now`. Each is told of once.
  [[nodiscard]] std::optional<std::uint64_t> take_expired(WallTime now);

 private:
  std::set<std::pair<IssuedKey, std::uint64_t>> by_certificate_;
  std::set<std::pair<WallTime, std::uint64_t>> by_expiry_;
};

}  // namespace headgate
