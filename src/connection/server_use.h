#pragma once

#include <utility>

#include "backend/group.h"
#include "metrics/worker_metrics.h"

namespace headgate {

/// A connection's use of one server: its lease, and its place in headgate_backend_connections_active. Moved,
/// not copied. Loop thread only.
class ServerUse {
 public:
  ServerUse() = default;
  /// `metrics` outlives it.
  ServerUse(ServerLease lease, ServerMetrics& metrics) : metrics_(&metrics), lease_(std::move(lease)) {
    metrics_->active.add();
  }
  ServerUse(ServerUse&& other) noexcept
      : metrics_(std::exchange(other.metrics_, nullptr)), lease_(std::move(other.lease_)) {}
  ServerUse& operator=(ServerUse&& other) noexcept {
    std::swap(lease_, other.lease_);
    std::swap(metrics_, other.metrics_);
    return *this;
  }
  ServerUse(const ServerUse&) = delete;
  ServerUse& operator=(const ServerUse&) = delete;
  ~ServerUse() {
    if (metrics_ != nullptr) metrics_->active.sub();
  }

 private:
  ServerMetrics* metrics_ = nullptr;
  [[no_unique_address]] ServerLease lease_;
};

}  // namespace headgate
