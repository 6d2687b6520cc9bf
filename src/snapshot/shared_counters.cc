#include "snapshot/shared_counters.h"

#include <algorithm>
#include <chrono>

namespace headgate {

std::optional<CloseReason> SharedCounters::enter(const config::Limits& limits, SourceNetwork source) {
  const std::lock_guard lock(mutex_);
  if (limits.max_connections > 0 && connections_ >= limits.max_connections)
    return CloseReason::kConnectionLimit;
  auto& from_source = sources_[source];
  if (limits.max_connections_per_source > 0 && from_source >= limits.max_connections_per_source) {
    return CloseReason::kSourceLimit;
  }
  ++connections_;
  ++from_source;
  return std::nullopt;
}

void SharedCounters::leave(SourceNetwork source) {
  const std::lock_guard lock(mutex_);
  --connections_;
  const auto found = sources_.find(source);
  if (--found->second == 0) sources_.erase(found);
}

bool SharedCounters::take_handshake(std::uint32_t per_second, TimePoint now) {
  const std::lock_guard lock(mutex_);
  const TimePoint earliest = now - std::chrono::seconds(1);
  const TimePoint due = std::max(next_handshake_, earliest);
  if (due > now) return false;
  next_handshake_ = due + Duration(std::chrono::seconds(1)) / per_second;
  return true;
}

}  // namespace headgate
