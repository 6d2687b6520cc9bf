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

/// Ends connections whose client may no longer be there: its certificate has been revoked or has expired, its
/// CA or its place in the allow list is gone. Where a listener has `cut_live: off` it ends nothing.
///
/// A change visits those whom it concerns: those in whose chain a certificate is newly revoked, whose CA is
/// no longer trusted, whose issuer has no revocation list any more, or whose entry of the allow list has
/// gone; expiry visits those that expire. Only another mode visits every peer. All of it goes by turns of the
/// loop, kPerTurn look-ups in each. Loop thread of its worker.
class PeerWatch {
 public:
  /// How many peers are looked for or judged in one turn of the loop: a fraction of a millisecond.
  static constexpr std::size_t kPerTurn = 128;

  /// From now on `connection`, whose peer is known, is watched, until remove().
  void add(Connection& connection);
  void remove(const Connection& connection);
  /// Judges one that is watched in this turn, or the next.
  void evaluate_soon(const Connection& connection) { to_judge_.push_back(connection.info().id); }

  /// `next` is in force from now on, and comes right after what was in force.
  void adopt(std::shared_ptr<const WorkerSnapshot> next);
  /// Time has passed.
  void look_for_expired() { expiring_ = true; }
  /// Does one turn's share of what there is to do; whether something is left. Connections may end.
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

  std::vector<std::uint64_t> to_judge_;
  std::vector<IssuedKey> concerned_;         // whose peers are still to be looked for
  std::uint64_t concerned_from_ = 0;         // of the last of them: those of smaller ids have been judged
  std::optional<std::uint64_t> all_from_{};  // every peer from this id on is still to be judged
  bool expiring_ = false;
};

}  // namespace headgate
