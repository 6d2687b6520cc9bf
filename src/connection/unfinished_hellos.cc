#include "connection/unfinished_hellos.h"

#include "connection/connection.h"

namespace headgate {

// Ending a connection destroys its HeldInput, which takes it off the list.
bool UnfinishedHellos::shed_down_to_bound(const Connection& caller) {
  while (bytes_ > max_bytes_) {
    Connection& oldest = *holders_.begin()->second.connection;
    if (&oldest == &caller) return false;
    oldest.end(CloseReason::kHandshakeShed, kUnfinishedHelloShed);
  }
  return true;
}

HeldInput& HeldInput::operator=(HeldInput&& other) noexcept {
  if (this == &other) return *this;
  give_back();
  place_ = std::exchange(other.place_, nullptr);
  return *this;
}

bool HeldInput::hold(UnfinishedHellos& all, Connection& connection, std::size_t bytes) {
  if (place_ == nullptr) {
    const UnfinishedHellos::Holder nothing{.all = &all, .connection = &connection, .bytes = 0};
    place_ = &all.holders_.emplace(connection.info().id, nothing).first->second;
  }
  all.bytes_ -= place_->bytes;
  all.bytes_ += bytes;
  place_->bytes = bytes;
  return all.shed_down_to_bound(connection);
}

void HeldInput::give_back() {
  if (place_ == nullptr) return;
  UnfinishedHellos& all = *place_->all;
  all.bytes_ -= place_->bytes;
  all.holders_.erase(place_->connection->info().id);
  place_ = nullptr;
}

}  // namespace headgate
