#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <utility>

#include "base/units.h"
#include "tls/peer/peer_identity.h"

namespace headgate {

/// Finds the peers of a worker's connections by the things whose change concerns them (each certificate of
/// their chains, the CAs that these are trusted for, their issuer, the entry that admits them) and by the
/// time at which they expire. A peer costs half a KiB, a connection without a client certificate nothing. A
/// connection is known by its id. Each call takes logarithmic time. Loop thread of its worker.
class PeerIndex {
 public:
  /// Adds a peer. `admission` is the answer of PeerPolicy.
  void add(std::uint64_t id, const PeerIdentity& peer, const IssuedKey& admission);
  /// Takes a peer out. `peer` and `admission` are those with which it was added.
  void remove(std::uint64_t id, const PeerIdentity& peer, const IssuedKey& admission);
  /// Says that `now` admits the peer in place of `before`.
  void admit(std::uint64_t id, const IssuedKey& before, const IssuedKey& now);

  /// Returns the smallest id, from `from` on, that `key` concerns.
  [[nodiscard]] std::optional<std::uint64_t> find_concerned(const IssuedKey& key, std::uint64_t from) const;
  /// Returns a connection whose certificate has expired by `now`. Each is returned once.
  [[nodiscard]] std::optional<std::uint64_t> take_expired(WallTime now);

 private:
  std::set<std::pair<IssuedKey, std::uint64_t>> by_key_;
  std::set<std::pair<WallTime, std::uint64_t>> by_expiry_;
};

}  // namespace headgate
