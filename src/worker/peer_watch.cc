#include "worker/peer_watch.h"

#include <chrono>
#include <utility>

namespace headgate {
namespace {

CloseReason reason_of_refusal(HandshakeFailure why) {
  switch (why) {
    case HandshakeFailure::kClientCertificateRevoked:
      return CloseReason::kClientRevoked;
    case HandshakeFailure::kClientCertificateExpired:
      return CloseReason::kClientExpired;
    default:
      return CloseReason::kClientNotAllowed;
  }
}

}  // namespace

void PeerWatch::add(Connection& connection) {
  const Facts& facts = connection.facts();
  if (connections_.emplace(facts.id, &connection).second) index_.add(facts.id, *facts.peer);
}

void PeerWatch::remove(const Connection& connection) {
  const Facts& facts = connection.facts();
  if (facts.peer && connections_.erase(facts.id) > 0) index_.remove(facts.id, *facts.peer);
}

void PeerWatch::adopt(std::shared_ptr<const WorkerSnapshot> next) {
  snapshot_ = std::move(next);
  for (const auto& listener : snapshot_->listeners) {
    if (!listener->tls) continue;
    const PeerChanges& changes = listener->policy->tls->changes;
    if (changes.anyone) all_from_ = 0;
    revoked_.insert(revoked_.end(), changes.revoked.begin(), changes.revoked.end());
  }
  revoked_from_ = 0;  // the last one may be another now, or concern another listener
  // Looking for more certificates than there are peers takes longer than asking about each peer, and those
  // who were asked already have to be asked again.
  if (!all_from_ && revoked_.size() <= connections_.size()) return;
  all_from_ = 0;
  revoked_.clear();
}

bool PeerWatch::has_work() const {
  return expiring_ || all_from_ || !revoked_.empty() || !to_judge_.empty();
}

bool PeerWatch::work() {
  if (!has_work()) return false;
  const WallTime now = std::chrono::system_clock::now();
  for (std::size_t i = 0; i < kPerTurn && has_work(); ++i) {
    const auto id = next(now);
    const auto found = id ? connections_.find(*id) : connections_.end();
    if (found != connections_.end()) judge(*found->second, now);
  }
  return has_work();
}

/// Whose turn it is; nothing when this look-up has found nobody.
std::optional<std::uint64_t> PeerWatch::next(WallTime now) {
  if (!to_judge_.empty()) {
    const std::uint64_t id = to_judge_.back();
    to_judge_.pop_back();
    return id;
  }
  if (expiring_) {
    const auto id = index_.take_expired(now);
    expiring_ = id.has_value();
    return id;
  }
  return revoked_.empty() ? next_of_all() : next_revoked();
}

std::optional<std::uint64_t> PeerWatch::next_revoked() {
  const auto id = index_.find_issued(revoked_.back(), revoked_from_);
  revoked_from_ = id ? *id + 1 : 0;
  if (!id) revoked_.pop_back();
  return id;
}

std::optional<std::uint64_t> PeerWatch::next_of_all() {
  const auto found = all_from_ ? connections_.lower_bound(*all_from_) : connections_.end();
  if (found == connections_.end()) {
    all_from_.reset();
    return std::nullopt;
  }
  all_from_ = found->first + 1;
  return found->first;
}

// A listener that is gone left its last rules to the connections that are still there.
void PeerWatch::judge(Connection& connection, WallTime now) const {
  const ListenerPolicy* policy = connection.listener().policy.get();
  if (const ListenerState* current = snapshot_->find_listener(policy->config.name)) {
    policy = current->policy.get();
  }
  if (!policy->tls || !policy->config.tls->client_auth.cut_live) return;
  const auto verdict = policy->tls->peers->authorize(connection.facts().peer.get(), now);
  if (!verdict.allowed) connection.end(reason_of_refusal(verdict.why));
}

}  // namespace headgate
