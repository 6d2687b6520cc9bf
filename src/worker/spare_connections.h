#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "connection/services.h"
#include "connection/spares.h"
#include "event/timer.h"
#include "snapshot/worker_snapshot.h"
#include "worker/spare_pool.h"

namespace headgate {

/// The spare connections of one worker: a pool for each backend with `preconnect`, while the worker accepts
/// connections. A worker that drains, that a reload retires or that has handed its sockets over holds none.
/// Loop thread only.
class SpareConnections final : public Spares {
 public:
  /// Connects that are begun in one turn of the loop, and the time to the next ones, unless a client has
  /// taken a spare before: to fill pools that are empty, 800 a second.
  static constexpr int kConnectsAtOnce = 16;
  static constexpr Duration kBetweenConnects = std::chrono::milliseconds(20);
  /// After descriptors have run out, or few are left.
  static constexpr Duration kDescriptorsPause = std::chrono::seconds(10);

  /// Runs a piece of work on the loop; any thread may call it.
  using Post = std::function<void(std::function<void()>)>;
  /// The borrowed objects outlive it.
  SpareConnections(Loop& loop, Transport& transport, Host& host, Log& log, Post post);
  SpareConnections(const SpareConnections&) = delete;
  SpareConnections& operator=(const SpareConnections&) = delete;

  /// Takes over a snapshot: spares to the backends that are as before stay, all others end.
  void adopt(std::shared_ptr<WorkerSnapshot> snapshot);
  /// The worker accepts connections from now on, or accepts none any more.
  void begin();
  void end();
  /// What its timer does: looks after all pools.
  void upkeep();

  // Spares
  [[nodiscard]] std::unique_ptr<Stream> take(const BackendState& backend, const Choice& choice) override;
  bool give_up_descriptors() override;

 private:
  static void upkeep_due(void* self);
  void make_pools();
  void few_descriptors();
  [[nodiscard]] PlaceQueue::Wake asked(const std::string& backend);

  Loop& loop_;
  Transport& transport_;
  Host& host_;
  Log& log_;
  Post post_;
  Timer timer_;
  bool begun_ = false;
  TimePoint without_descriptors_until_{};
  bool told_of_descriptors_ = false;          // since the last snapshot came
  std::shared_ptr<WorkerSnapshot> snapshot_;  // null before the first one; the pools use it
  std::map<std::string, std::unique_ptr<SparePool>, std::less<>> pools_;
};

}  // namespace headgate
