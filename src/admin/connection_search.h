#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "admin/connections_page.h"
#include "worker/worker.h"

namespace headgate {

/// Finds one page of the live connections. A first walk over the workers' connections gathers the ids of
/// those that match, a second one describes those that stand on the page, and no others. Both walks go in
/// slices (ConnectionWalk), so that the loops serve their connections meanwhile.
///
/// Made for one question, on a thread that may wait. It takes 8 bytes for each connection that matches.
class ConnectionSearch {
 public:
  /// Runs a function on each worker's thread, and returns how many workers there are.
  using AskWorkers = std::function<std::size_t(const std::function<void(Worker&)>&)>;
  /// For how long a walk is waited for. A worker that takes longer is left out of the answer.
  static constexpr Duration kPatience = std::chrono::seconds(2);
  /// What it costs to describe a connection, in looks of ConnectionWalk: at most 16 are described in a slice.
  static constexpr std::size_t kDescriptionCost = 63;

  explicit ConnectionSearch(AskWorkers ask_workers) : ask_workers_(std::move(ask_workers)) {}

  /// The connections of `query`, in the order of their ids.
  [[nodiscard]] ConnectionsPage run(const ConnectionsQuery& query);
  /// How many connections were described, by all workers.
  [[nodiscard]] std::size_t described() const { return *described_; }

 private:
  [[nodiscard]] std::vector<std::uint64_t> find(const ConnectionsQuery& query);
  [[nodiscard]] std::vector<ConnectionReport> describe(std::vector<std::uint64_t> ids);

  AskWorkers ask_workers_;
  // Shared: a worker that is late still counts there.
  std::shared_ptr<std::atomic<std::size_t>> described_ = std::make_shared<std::atomic<std::size_t>>(0);
};

}  // namespace headgate
