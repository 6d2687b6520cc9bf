#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "connection/connection.h"
#include "snapshot/worker_snapshot.h"
#include "worker/peer_index.h"

namespace headgate {

/// Ends connections whose client may no longer be there: its certificate has been revoked or has expired, or
/// its CA or its place in the allow list is gone. Where a listener has `cut_live: off` it ends no connection.
///
/// A change visits the peers that it concerns: those in whose chain a certificate is newly revoked, whose CA
/// is no longer trusted, whose issuer has no revocation list any more, or whose entry of the allow list has
/// gone; expiry visits those that expire. Only another mode visits every peer. The visits spread over turns
/// of the loop, with kPerTurn look-ups in each. Loop thread of its worker.
class PeerWatch {
 public:
  /// The number of peers that one turn of the loop looks for or evaluates: a fraction of a millisecond.
  static constexpr std::size_t kPerTurn = 128;

  /// Watches `connection`, whose peer is known, from now on until remove().
  void add(Connection& connection);
  void remove(const Connection& connection);
  /// Evaluates a watched connection in this turn, or the next.
  void evaluate_soon(const Connection& connection) { to_evaluate_.push_back(connection.info().id); }

  /// Says that `next` is in force from now on, as the successor of the rules that were in force.
  void adopt(std::shared_ptr<const WorkerSnapshot> next);
  /// Says that time has passed.
  void look_for_expired() { expiring_ = true; }
  /// Does one turn's share of the work. Returns whether work is left. Connections may end.
  [[nodiscard]] bool work();

 private:
  [[nodiscard]] bool has_work() const;
  [[nodiscard]] std::optional<std::uint64_t> next(WallTime now);
  [[nodiscard]] std::optional<std::uint64_t> next_concerned();
  [[nodiscard]] std::optional<std::uint64_t> next_of_all();
  struct Watched {
    Connection* connection;
    IssuedKey admission;  // as it is in index_
  };
  void evaluate(Watched& watched, WallTime now);

  std::shared_ptr<const WorkerSnapshot> snapshot_;
  std::map<std::uint64_t, Watched> connections_;
  PeerIndex index_;

  std::vector<std::uint64_t> to_evaluate_;
  std::vector<IssuedKey> concerned_;  // keys whose peers are still to be looked for
  std::uint64_t concerned_from_ = 0;  // of the last of them: peers with smaller ids have been evaluated
  std::optional<std::uint64_t> all_from_{};  // every peer from this id on is still to be evaluated
  bool expiring_ = false;
};

}  // namespace headgate
