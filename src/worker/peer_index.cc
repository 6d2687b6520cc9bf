#include "worker/peer_index.h"

namespace headgate {

namespace {

template <class See>
void for_each_key(const PeerIdentity& peer, See&& see) {
  for (const IssuedKey& key : peer.chain) see(key);
  for (const IssuedKey& key : peer.trust) see(key);
  see(peer.issued_by);
}

}  // namespace

void PeerIndex::add(std::uint64_t id, const PeerIdentity& peer, const IssuedKey& admission) {
  for_each_key(peer, [&](const IssuedKey& key) { by_key_.emplace(key, id); });
  by_key_.emplace(admission, id);
  by_expiry_.emplace(peer.not_after, id);
}

void PeerIndex::remove(std::uint64_t id, const PeerIdentity& peer, const IssuedKey& admission) {
  for_each_key(peer, [&](const IssuedKey& key) { by_key_.erase({key, id}); });
  by_key_.erase({admission, id});
  by_expiry_.erase({peer.not_after, id});
}

void PeerIndex::admit(std::uint64_t id, const IssuedKey& before, const IssuedKey& now) {
  by_key_.erase({before, id});
  by_key_.emplace(now, id);
}

std::optional<std::uint64_t> PeerIndex::find_concerned(const IssuedKey& key, std::uint64_t from) const {
  const auto found = by_key_.lower_bound({key, from});
  if (found == by_key_.end() || found->first != key) return std::nullopt;
  return found->second;
}

std::optional<std::uint64_t> PeerIndex::take_expired(WallTime now) {
  if (by_expiry_.empty() || by_expiry_.begin()->first > now) return std::nullopt;
  return by_expiry_.extract(by_expiry_.begin()).value().second;
}

}  // namespace headgate
