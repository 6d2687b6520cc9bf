#include "worker/admission.h"

#include <algorithm>

namespace headgate {
namespace {

// For each part of the time that full handshakes get, the steps before them get this many.
constexpr int kShareOfUrgent = 3;

constexpr std::size_t kIdleListeners = 64;

// Ending a connection takes some 10 us, and thousands may be stale at once.
constexpr int kRefusedPerTurn = 32;

}  // namespace

/// The handshakes in progress of one listener, in the order of their beginning, and each source's own.
struct Admission::InProgress {
  using OfSource = IntrusiveList<HandshakePlace, &HandshakePlace::of_source>;
  IntrusiveList<HandshakePlace, &HandshakePlace::of_age> all;
  std::unordered_map<SourceNetwork, OfSource> by_source;

  /// The handshake to end for `newcomer`: the oldest, but no source ends another source's while it has more
  /// itself.
  [[nodiscard]] HandshakePlace& to_end_for(const HandshakePlace& newcomer) const {
    HandshakePlace& oldest = *all.front();
    const auto own = by_source.find(newcomer.source);
    if (own == by_source.end() || own->second.size() <= by_source.at(oldest.source).size()) return oldest;
    return *own->second.front();
  }
};

Admission::Admission(OffloadRoom& room, LoopMetrics& metrics, std::uint64_t secret)
    : room_(room),
      metrics_(metrics),
      on_loop_{FairQueue(secret), FairQueue(secret), FairQueue(secret)},
      offloaded_(secret) {}
Admission::~Admission() = default;

void Admission::request(PermitRequest& request) {
  request.asked = Clock::now();
  request.queued = true;
  request.granted = false;
  queue_of(request).push(request, prices_.of(request.cost));
  metrics_.handshakes_queued.add();
}

void Admission::withdraw(PermitRequest& request) {
  if (!request.queued) return;
  queue_of(request).remove(request);
  take_out(request);
}

void Admission::begin(HandshakePlace& place, std::uint32_t most) {
  auto& of_listener = in_progress_[place.listener];
  if (!of_listener) of_listener = std::make_unique<InProgress>();
  InProgress& progress = *of_listener;
  if (progress.all.size() >= most) progress.to_end_for(place).owner->shed();
  progress.all.push_back(place);
  progress.by_source[place.source].push_back(place);
  metrics_.handshakes_in_progress.add();
}

void Admission::over(HandshakePlace& place) {
  const auto listener = in_progress_.find(place.listener);
  InProgress& progress = *listener->second;
  const auto source = progress.by_source.find(place.source);
  progress.all.remove(place);
  source->second.remove(place);
  if (source->second.empty()) progress.by_source.erase(source);
  // Listeners come and go with reloads; those at work are kept, so that nothing is allocated for each
  // handshake.
  if (progress.all.empty() && in_progress_.size() > kIdleListeners) in_progress_.erase(listener);
  metrics_.handshakes_in_progress.sub();
}

void Admission::serve() {
  if (empty()) return;
  TimePoint now = Clock::now();
  for (FairQueue& queue : on_loop_) refuse_stale(queue, now);
  refuse_stale(offloaded_, now);
  const TimePoint end = now + kSlice;
  while (now < end) {
    FairQueue* queue = next();
    if (queue == nullptr) return;
    grant_next(*queue, now);
    now = Clock::now();
  }
}

bool Admission::can_offload() const {
  return !offloaded_.empty() && room_.has_room();
}

// Not every permit for the other thread ends in a signature: an answer may be a HelloRetryRequest. So neither
// kind may use up the slice before the other.
FairQueue* Admission::next() {
  const bool can_serve = loop_has_requests();
  offload_is_next_ = !offload_is_next_;
  if (can_offload() && (offload_is_next_ || !can_serve)) return &offloaded_;
  return can_serve ? &next_of_loop() : nullptr;
}

bool Admission::loop_has_requests() const {
  return std::ranges::any_of(on_loop_, [](const FairQueue& queue) { return !queue.empty(); });
}

FairQueue& Admission::queue_of(const PermitRequest& request) {
  return request.cost.offloaded ? offloaded_ : on_loop_[static_cast<std::size_t>(request.cost.work)];
}

// Urgent steps go first, but clients with a ticket must not keep all others out.
FairQueue& Admission::next_of_loop() {
  FairQueue& full = on_loop_[static_cast<std::size_t>(HandshakeWork::kFull)];
  FairQueue& first = *std::ranges::find_if(on_loop_, [](const FairQueue& queue) { return !queue.empty(); });
  if (&first == &full || full.empty()) {
    owed_to_full_ = {};
    return first;
  }
  if (owed_to_full_ >= kShareOfUrgent * full.oldest()->price) {
    owed_to_full_ = {};
    return full;
  }
  owed_to_full_ += first.oldest()->price;
  return first;
}

void Admission::refuse_stale(FairQueue& queue, TimePoint now) {
  for (int i = 0; i < kRefusedPerTurn && !queue.empty() && queue.oldest()->asked + kStale < now; ++i) {
    PermitRequest& request = *queue.oldest();
    queue.remove(request);
    take_out(request);
    request.owner->permit_refused();
  }
}

void Admission::grant_next(FairQueue& queue, TimePoint now) {
  const bool overdue = queue.oldest()->asked + kPatience < now;
  PermitRequest& request = queue.take(overdue ? FairQueue::Order::kByLot : FairQueue::Order::kOldestFirst);
  take_out(request);
  request.granted = true;
  request.owner->permit_granted();
}

void Admission::take_out(PermitRequest& request) {
  request.queued = false;
  metrics_.handshakes_queued.sub();
}

}  // namespace headgate
