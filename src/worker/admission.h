#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>

#include "base/units.h"
#include "connection/permits.h"
#include "metrics/worker_metrics.h"
#include "worker/fair_queue.h"
#include "worker/handshake_prices.h"

namespace headgate {

/// Where the signatures of offloaded keys are made: the worker's other thread.
class OffloadRoom {
 public:
  virtual ~OffloadRoom() = default;
  /// Whether another signature may be handed over now. The room is kept nearly empty, so that the queue
  /// decides which request is next.
  [[nodiscard]] virtual bool has_room() const = 0;
};

/// The admission queue: it gives permits for the costly steps of handshakes within a slice of a turn of
/// the loop, after the loop has served every established connection.
///
///  - There are two lanes, for the loop itself and for the worker's other thread, which take turns.
///  - In each lane the steps that end handshakes which have been paid for come first; then those that resume
///    by a ticket of ours; then full handshakes, which get a quarter of the time at least.
///  - Each of these kinds is fair by price between listeners and between sources: see FairQueue.
///  - The oldest request comes first while the queue is shorter than a client's patience. When the queue is
///    older, the lot decides between sources, and the newest request of a source comes first: the clients of
///    the oldest requests have given up or soon will, and an order by age would serve no client in time.
///  - A stale request is refused before Headgate pays for any cryptography: a request is stale kStale after
///    it was queued.
///
/// A worker owns it, loop thread only. Requests and places that are destroyed must have left.
class Admission final : public Permits {
 public:
  /// A bound on how long established connections wait for handshakes in one turn of the loop, when each step
  /// is short.
  static constexpr Duration kSlice = std::chrono::microseconds(100);
  /// A queue whose head waits longer than this is served by lot.
  static constexpr Duration kPatience = std::chrono::milliseconds(500);
  /// No client that waits this long is still there: the connect timeouts of clients are a few seconds.
  static constexpr Duration kStale = std::chrono::milliseconds(1500);

  /// `secret` makes the lots of sources unpredictable for clients.
  Admission(OffloadRoom& room, LoopMetrics& metrics, std::uint64_t secret);
  ~Admission() override;

  void request(PermitRequest& request) override;
  void withdraw(PermitRequest& request) override;
  void learn(const HandshakeCost& cost, Duration cpu) override { prices_.learn(cost, cpu); }
  void begin(HandshakePlace& place, std::uint32_t most) override;
  void over(HandshakePlace& place) override;

  /// Gives permits for one slice.
  void serve();
  [[nodiscard]] bool empty() const { return on_loop_.empty() && offloaded_.empty(); }
  /// Whether there are requests that could be granted now: then the loop must not sleep.
  [[nodiscard]] bool has_work() const { return !on_loop_.empty() || can_offload(); }

 private:
  struct InProgress;

  /// The requests for one thread, by the kind of their work.
  struct Lane {
    explicit Lane(std::uint64_t secret) : by_work{FairQueue(secret), FairQueue(secret), FairQueue(secret)} {}
    [[nodiscard]] bool empty() const;
    [[nodiscard]] FairQueue& next();

    std::array<FairQueue, kHandshakeWorkCount> by_work;
    Duration owed_to_full{};  // what went before full handshakes while some were waiting
  };

  [[nodiscard]] FairQueue& queue_of(const PermitRequest& request);
  [[nodiscard]] bool can_offload() const;
  [[nodiscard]] FairQueue* next();
  [[nodiscard]] InProgress& in_progress_of(const SharedCounters* listener);
  [[nodiscard]] PermitOwner& to_end(InProgress& progress, const SharedCounters* listener);
  void refuse_stale(FairQueue& queue, TimePoint now);
  void grant_next(FairQueue& queue, TimePoint now);
  void take_out(PermitRequest& request);

  OffloadRoom& room_;
  LoopMetrics& metrics_;
  HandshakePrices prices_;
  Lane on_loop_, offloaded_;
  bool offload_is_next_ = true;
  std::unordered_map<const SharedCounters*, std::unique_ptr<InProgress>> in_progress_;
};

}  // namespace headgate
