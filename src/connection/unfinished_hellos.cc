#include "connection/unfinished_hellos.h"

#include "connection/connection.h"

namespace headgate {

// Ending a connection destroys its HeldInput, which takes it off the list.
bool UnfinishedHellos::shed_down_to_bound(const Connection& caller) {
  while (bytes_ > max_bytes_) {
    Connection& oldest = *sources_.at(by_bytes_.rbegin()->second).holders.begin()->second.connection;
    if (&oldest == &caller) return false;
    oldest.end(CloseReason::kHandshakeShed, kUnfinishedHelloShed);
  }
  return true;
}

void UnfinishedHellos::count(Holder& holder, std::size_t bytes) {
  Source& source = sources_.at(holder.source);
  by_bytes_.erase({source.bytes, holder.source});
  bytes_ = bytes_ - holder.bytes + bytes;
  source.bytes = source.bytes - holder.bytes + bytes;
  holder.bytes = bytes;
  by_bytes_.emplace(source.bytes, holder.source);
}

HeldInput& HeldInput::operator=(HeldInput&& other) noexcept {
  if (this == &other) return *this;
  give_back();
  place_ = std::exchange(other.place_, nullptr);
  return *this;
}

bool HeldInput::hold(UnfinishedHellos& all, Connection& connection, std::size_t bytes) {
  if (place_ == nullptr) {
    const SourceNetwork source = connection.info().client.network();
    const UnfinishedHellos::Holder nothing{
        .all = &all, .connection = &connection, .source = source, .bytes = 0};
    place_ = &all.sources_[source].holders.emplace(connection.info().id, nothing).first->second;
    ++all.connections_;
  }
  all.count(*place_, bytes);
  return all.shed_down_to_bound(connection);
}

void HeldInput::give_back() {
  if (place_ == nullptr) return;
  UnfinishedHellos& all = *place_->all;
  all.count(*place_, 0);
  const SourceNetwork network = place_->source;
  UnfinishedHellos::Source& source = all.sources_.at(network);
  source.holders.erase(place_->connection->info().id);
  if (source.holders.empty()) {
    all.by_bytes_.erase({0, network});
    all.sources_.erase(network);
  }
  --all.connections_;
  place_ = nullptr;
}

}  // namespace headgate
