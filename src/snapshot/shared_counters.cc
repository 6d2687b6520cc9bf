#include "snapshot/shared_counters.h"

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

void SharedCounters::enter_beyond_limits(SourceNetwork source) {
  const std::lock_guard lock(mutex_);
  ++sources_[source];
  ++connections_;
}

void SharedCounters::leave(SourceNetwork source) {
  const std::lock_guard lock(mutex_);
  --connections_;
  const auto found = sources_.find(source);
  if (--found->second == 0) sources_.erase(found);
}

}  // namespace headgate
