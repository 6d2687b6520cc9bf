#include "worker/peer_index.h"

namespace headgate {

void PeerIndex::add(std::uint64_t id, const PeerIdentity& peer) {
  for (const IssuedKey& certificate : peer.chain) by_certificate_.emplace(certificate, id);
  by_expiry_.emplace(peer.not_after, id);
}

void PeerIndex::remove(std::uint64_t id, const PeerIdentity& peer) {
  for (const IssuedKey& certificate : peer.chain) by_certificate_.erase({certificate, id});
  by_expiry_.erase({peer.not_after, id});
}

std::optional<std::uint64_t> PeerIndex::find_issued(const IssuedKey& certificate, std::uint64_t from) const {
  const auto found = by_certificate_.lower_bound({certificate, from});
  if (found == by_certificate_.end() || found->first != certificate) return std::nullopt;
  return found->second;
}

std::optional<std::uint64_t> PeerIndex::take_expired(WallTime now) {
  if (by_expiry_.empty() || by_expiry_.begin()->first > now) return std::nullopt;
  return by_expiry_.extract(by_expiry_.begin()).value().second;
}

}  // namespace headgate
