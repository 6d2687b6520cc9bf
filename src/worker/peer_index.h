#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <utility>

#include "base/units.h"
#include "tls/peer/peer_identity.h"

namespace headgate {

/// The peers of a worker's connections, by what a change may concern them by (each certificate of their
/// chains, what those are trusted for, their issuer, what admits them) and by when they expire: half a KiB
/// for one, nothing for a connection without a client certificate. A connection is known by its id.
/// Everything takes logarithmic time. Loop thread of its worker.
class PeerIndex {
 public:
  /// `admission` is what PeerPolicy says.
  void add(std::uint64_t id, const PeerIdentity& peer, const IssuedKey& admission);
  /// `peer` and `admission` as they were added.
  void remove(std::uint64_t id, const PeerIdentity& peer, const IssuedKey& admission);
  /// Something else admits it now.
  void admit(std::uint64_t id, const IssuedKey& before, const IssuedKey& now);

  /// The smallest id, from `from` on, that `key` concerns.
  [[nodiscard]] std::optional<std::uint64_t> find_concerned(const IssuedKey& key, std::uint64_t from) const;
  /// One whose certificate has expired by `now`. Each is told of once.
  [[nodiscard]] std::optional<std::uint64_t> take_expired(WallTime now);

 private:
  std::set<std::pair<IssuedKey, std::uint64_t>> by_key_;
  std::set<std::pair<WallTime, std::uint64_t>> by_expiry_;
};

}  // namespace headgate
