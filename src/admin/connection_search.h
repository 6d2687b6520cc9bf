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
/// those that match, and a second one describes only those that stand on the page. Both walks go in slices
/// (ConnectionWalk), so that the loops serve their connections meanwhile.
///
/// An object serves one question, on a thread that may wait. It takes 8 bytes for each connection that
/// matches.
class ConnectionSearch {
 public:
  /// Runs a function on each worker's thread, and returns how many workers there are.
  using AskWorkers = std::function<std::size_t(const std::function<void(Worker&)>&)>;
  /// How long the search waits for a walk. It leaves a slower worker out of the answer.
  static constexpr Duration kPatience = std::chrono::seconds(2);
  /// The cost of describing a connection, in looks of ConnectionWalk: at most 16 are described in a slice.
  static constexpr std::size_t kDescriptionCost = 63;

  explicit ConnectionSearch(AskWorkers ask_workers) : ask_workers_(std::move(ask_workers)) {}

  /// The connections of `query`, in the order of their ids.
  [[nodiscard]] ConnectionsPage run(const ConnectionsQuery& query);
  /// The number of connections that all workers have described.
  [[nodiscard]] std::size_t described() const { return *described_; }

 private:
  [[nodiscard]] std::vector<std::uint64_t> find(const ConnectionsQuery& query);
  [[nodiscard]] std::vector<ConnectionReport> describe(std::vector<std::uint64_t> ids);

  AskWorkers ask_workers_;
  // shared, because a late worker still counts there
  std::shared_ptr<std::atomic<std::size_t>> described_ = std::make_shared<std::atomic<std::size_t>>(0);
};

}  // namespace headgate
