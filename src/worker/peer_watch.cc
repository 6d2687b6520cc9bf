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
    case HandshakeFailure::kClientCertificateUntrusted:
      return CloseReason::kClientUntrusted;
    default:
      return CloseReason::kClientNotAllowed;
  }
}

}  // namespace

void PeerWatch::add(Connection& connection) {
  const ConnectionInfo& info = connection.info();
  const auto [place, is_new] = connections_.try_emplace(info.id, Watched{&connection, {}});
  if (!is_new) return;
  const auto& tls = connection.listener().policy->tls;
  if (tls) {
    const PeerPolicy& peers = *tls->rules_for(info.server_name.view()).peers;
    place->second.admission = peers.admission_of(*info.peer).value_or(IssuedKey{});
  }
  index_.add(info.id, *info.peer, place->second.admission);
}

void PeerWatch::remove(const Connection& connection) {
  const ConnectionInfo& info = connection.info();
  const auto found = info.peer ? connections_.find(info.id) : connections_.end();
  if (found == connections_.end()) return;
  index_.remove(info.id, *info.peer, found->second.admission);
  connections_.erase(found);
}

void PeerWatch::adopt(std::shared_ptr<const WorkerSnapshot> next) {
  snapshot_ = std::move(next);
  for (const auto& listener : snapshot_->listeners) {
    if (listener->tls.empty()) continue;
    for (const ClientRules& rules : listener->policy->tls->rules) {
      const PeerChanges& changes = rules.changes;
      if (changes.anyone) all_from_ = 0;
      concerned_.insert(concerned_.end(), changes.concerned.begin(), changes.concerned.end());
    }
  }
  concerned_from_ = 0;  // the last key may be another one now, or concern another listener
  // A look for more certificates than the worker has peers takes longer than a question about each peer, and
  // the peers that were asked about have to be asked about again.
  if (!all_from_ && concerned_.size() <= connections_.size()) return;
  all_from_ = 0;
  concerned_.clear();
}

bool PeerWatch::has_work() const {
  return expiring_ || all_from_ || !concerned_.empty() || !to_evaluate_.empty();
}

bool PeerWatch::work() {
  if (!has_work()) return false;
  const WallTime now = std::chrono::system_clock::now();
  for (std::size_t i = 0; i < kPerTurn && has_work(); ++i) {
    const auto id = next(now);
    const auto found = id ? connections_.find(*id) : connections_.end();
    if (found != connections_.end()) evaluate(found->second, now);
  }
  return has_work();
}

/// Returns the peer to evaluate next; nothing when this look-up has found none.
std::optional<std::uint64_t> PeerWatch::next(WallTime now) {
  if (!to_evaluate_.empty()) {
    const std::uint64_t id = to_evaluate_.back();
    to_evaluate_.pop_back();
    return id;
  }
  if (expiring_) {
    const auto id = index_.take_expired(now);
    expiring_ = id.has_value();
    return id;
  }
  return concerned_.empty() ? next_of_all() : next_concerned();
}

std::optional<std::uint64_t> PeerWatch::next_concerned() {
  const auto id = index_.find_concerned(concerned_.back(), concerned_from_);
  concerned_from_ = id ? *id + 1 : 0;
  if (!id) concerned_.pop_back();
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

// A listener that is gone left its last rules to the connections that are still open.
void PeerWatch::evaluate(Watched& watched, WallTime now) {
  Connection& connection = *watched.connection;
  const ListenerPolicy* policy = connection.listener().policy.get();
  if (const ListenerState* current = snapshot_->find_listener(policy->config.name)) {
    policy = current->policy.get();
  }
  if (!policy->tls) return;
  const ConnectionInfo& info = connection.info();
  const ClientRules& rules = policy->tls->rules_for(info.server_name.view());
  const PeerPolicy& peers = *rules.peers;
  const auto verdict = peers.authorize(info.peer.get(), now);
  if (!verdict.allowed) {
    if (rules.settings.cut_live && !rules.only_count) connection.end(reason_of_refusal(verdict.why));
    return;
  }
  const IssuedKey admission = peers.admission_of(*info.peer).value_or(IssuedKey{});
  index_.admit(info.id, std::exchange(watched.admission, admission), admission);
}

}  // namespace headgate
