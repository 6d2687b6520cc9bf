#include "worker/spare_connections.h"

#include <algorithm>
#include <utility>

#include "base/out_of_memory.h"

namespace headgate {

SpareConnections::SpareConnections(Loop& loop, Transport& transport, Host& host, Log& log, Post post)
    : loop_(loop),
      transport_(transport),
      host_(host),
      log_(log),
      post_(std::move(post)),
      timer_(loop, this, Timer::Calls<&SpareConnections::upkeep_due>()) {}

void SpareConnections::adopt(std::shared_ptr<WorkerSnapshot> snapshot) {
  const std::shared_ptr<WorkerSnapshot> before = std::exchange(snapshot_, std::move(snapshot));
  told_of_descriptors_ = false;
  make_pools();
}

void SpareConnections::begin() {
  if (!std::exchange(begun_, true)) make_pools();
}

void SpareConnections::end() {
  begun_ = false;
  pools_.clear();
  timer_.stop();
}

/// Pools that stay go on in the new snapshot. The others end first: they give their places back.
void SpareConnections::make_pools() {
  if (!begun_ || snapshot_ == nullptr) return;
  std::erase_if(pools_, [this](const auto& pool) {
    const auto found = snapshot_->backends.find(pool.first);
    return found == snapshot_->backends.end() ||
           found->second.picker->group().config != pool.second->config();
  });
  for (const auto& [name, backend] : snapshot_->backends) {
    if (const auto pool = pools_.find(name); pool != pools_.end()) {
      pool->second->move_to(backend, asked(name));
    } else if (backend.picker->group().config.preconnect > 0) {
      SparePool::Parts parts{loop_,
                             transport_,
                             host_,
                             log_,
                             [this] { timer_.set(Clock::now()); },
                             [this] { few_descriptors(); }};
      pools_.emplace(name, std::make_unique<SparePool>(std::move(parts), backend,
                                                       snapshot_->shared->generation, asked(name)));
    }
  }
  if (!pools_.empty()) timer_.set(Clock::now());
}

/// The message owns the name: by the time it is read, the pool may be another one.
PlaceQueue::Wake SpareConnections::asked(const std::string& backend) {
  return [this, backend] {
    post_([this, backend] {
      if (const auto pool = pools_.find(backend); pool != pools_.end()) pool->second->give_places_back();
    });
  };
}

void SpareConnections::upkeep_due(void* self) {
  static_cast<SpareConnections*>(self)->upkeep();
}

// Without memory for a spare the next look tries again.
void SpareConnections::upkeep() {
  const TimePoint now = host_.now();
  Duration until_next = std::chrono::seconds(1);
  int budget = kConnectsAtOnce;
  for (const auto& [name, pool] : pools_) {
    if (without_descriptors_until_ > now) budget = 0;
    static_cast<void>(done_unless_out_of_memory(
        [&, one = pool.get()] { until_next = std::min(until_next, one->upkeep(now, budget) - now); }));
  }
  if (budget == 0 && without_descriptors_until_ <= now) until_next = kBetweenConnects;
  if (!pools_.empty()) timer_.set(Clock::now() + until_next);
}

std::unique_ptr<Stream> SpareConnections::take(const BackendState& backend, const Choice& choice) {
  const auto pool = pools_.find(backend.picker->group().config.name);
  if (pool == pools_.end()) return nullptr;
  if (&pool->second->backend() == &backend) return pool->second->take(choice);
  // A connection that began before a reload goes by the servers of its own snapshot. It may have got the
  // place of a spare, though.
  pool->second->place_taken(choice.lease.server());
  return nullptr;
}

void SpareConnections::few_descriptors() {
  without_descriptors_until_ = host_.now() + kDescriptorsPause;
  if (std::exchange(told_of_descriptors_, true)) return;
  log_.warn(
      "less than a quarter of the descriptors is left, so no more spare connections are made: raise "
      "LimitNOFILE, or lower \"preconnect\"");
}

bool SpareConnections::give_up_descriptors() {
  bool had_any = false;
  for (const auto& [name, pool] : pools_) had_any = pool->discard_all(SpareEnd::kDescriptors) || had_any;
  if (!pools_.empty()) without_descriptors_until_ = host_.now() + kDescriptorsPause;
  return had_any;
}

}  // namespace headgate
