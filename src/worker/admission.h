#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

#include "base/units.h"
#include "connection/permits.h"
#include "event/turn_watcher.h"
#include "metrics/worker_metrics.h"

namespace headgate {

/// Who has the room beside the loop: the worker's thread for slow signatures.
class SlowLane {
 public:
  virtual ~SlowLane() = default;
  /// Whether a step may be handed to it now. It is kept nearly empty, so that the queue decides who is next.
  [[nodiscard]] virtual bool has_room() const = 0;
};

/// The admission queue: handshakes take turns in a slice of each turn of the loop, after everything that is
/// established.
///
///  - Resumed before full: who has been here before costs a tenth.
///  - First come, first served, while the queue is shorter than a client's patience. When it is older, the
///  newest first:
///    the oldest have given up or soon will, and serving them in order would serve nobody.
///  - What is stale is dropped before any cryptography is paid for it: kStale after it was queued.
///
/// Owned by a worker, loop thread only. Turns that are destroyed must have been withdrawn.
class Admission final : public Turns {
 public:
  /// A bound on how long established connections wait for handshakes in one turn of the loop, when each is
  /// short.
  static constexpr Duration kSlice = std::chrono::microseconds(500);
  /// A queue whose head waits longer than this is served from its other end.
  static constexpr Duration kPatience = std::chrono::milliseconds(500);
  /// Nobody who waits this long is still there: clients' own connect timeouts are a few seconds.
  static constexpr Duration kStale = std::chrono::milliseconds(1500);

  Admission(SlowLane& slow_lane, LoopMetrics& metrics) : slow_lane_(slow_lane), metrics_(metrics) {}

  void request(Turn& turn) override;
  void withdraw(Turn& turn) override;
  void begin(Connection& connection, std::uint32_t most) override;
  void over(Connection& connection) override;

  /// Gives turns for one slice. Whether turns are left that the loop itself could take: then it must not
  /// sleep.
  bool serve();

 private:
  /// Turns in the order of asking.
  struct Queue {
    Turn* oldest = nullptr;
    Turn* newest = nullptr;
    [[nodiscard]] bool empty() const { return oldest == nullptr; }
    void push(Turn& turn);
    void remove(Turn& turn);
  };
  /// One lane's queues: on the loop or beside it.
  struct Lane {
    Queue resumed, full;
    [[nodiscard]] bool empty() const { return resumed.empty() && full.empty(); }
  };

  [[nodiscard]] Queue& queue_of(const Turn& turn);
  void drop_stale(Queue& queue, TimePoint now);
  void grant_next(Lane& lane, TimePoint now);
  void take_out(Turn& turn);

  SlowLane& slow_lane_;
  LoopMetrics& metrics_;
  Lane on_loop_, beside_;
  std::map<std::uint64_t, Connection*> in_progress_;  // by connection id, so the oldest first
};

}  // namespace headgate
