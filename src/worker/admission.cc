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

/// The handshakes in progress of one listener in the order of their beginning, each source's own, and the
/// sources by the number that they have.
struct Admission::InProgress {
  struct Source {
    IntrusiveList<HandshakePlace, &HandshakePlace::of_source> places;
    ListHook<Source> of_size;
  };
  using Sources = IntrusiveList<Source, &Source::of_size>;

  IntrusiveList<HandshakePlace, &HandshakePlace::of_age> all;
  std::unordered_map<SourceNetwork, Source> by_source;
  std::vector<Sources> by_size;  // those with one place at index 0
  std::size_t largest = 0;       // no source has more places

  void add(HandshakePlace& place) {
    Source& source = by_source[place.source];
    // All memory comes first: a place is in every list or in none.
    by_size.resize(std::max(by_size.size(), source.places.size() + 1));
    leave_size(source);
    all.push_back(place);
    source.places.push_back(place);
    enter_size(source);
  }
  void remove(HandshakePlace& place) {
    const auto found = by_source.find(place.source);
    leave_size(found->second);
    all.remove(place);
    found->second.places.remove(place);
    if (found->second.places.empty()) {
      by_source.erase(found);
    } else {
      enter_size(found->second);
    }
  }
  /// The source that has the most places. Not when there is none.
  [[nodiscard]] const Source& with_most() {
    while (by_size[largest - 1].empty()) --largest;
    return *by_size[largest - 1].front();
  }

 private:
  void enter_size(Source& source) {
    const std::size_t size = source.places.size();
    by_size[size - 1].push_back(source);
    largest = std::max(largest, size);
  }
  void leave_size(Source& source) {
    if (!source.places.empty()) by_size[source.places.size() - 1].remove(source);
  }
};

bool Admission::Lane::empty() const {
  return std::ranges::all_of(by_work, [](const FairQueue& queue) { return queue.empty(); });
}

// Urgent steps go first, but clients with a ticket must not keep all others out.
FairQueue& Admission::Lane::next() {
  FairQueue& full = by_work[static_cast<std::size_t>(HandshakeWork::kFull)];
  FairQueue& first = *std::ranges::find_if(by_work, [](const FairQueue& queue) { return !queue.empty(); });
  if (&first == &full || full.empty()) {
    owed_to_full = {};
    return first;
  }
  if (owed_to_full >= kShareOfUrgent * full.oldest()->price) {
    owed_to_full = {};
    return full;
  }
  owed_to_full += first.oldest()->price;
  return first;
}

Admission::Admission(OffloadRoom& room, LoopMetrics& metrics, std::uint64_t secret)
    : room_(room), metrics_(metrics), on_loop_(secret), offloaded_(secret) {}
Admission::~Admission() = default;

void Admission::request(PermitRequest& request) {
  request.asked = Clock::now();
  request.granted = false;
  queue_of(request).push(request, prices_.of(request.cost));
  request.queued = true;  // there was memory for it
  metrics_.handshakes_queued.add();
}

void Admission::withdraw(PermitRequest& request) {
  if (!request.queued) return;
  queue_of(request).remove(request);
  take_out(request);
}

void Admission::begin(HandshakePlace& place, std::uint32_t most) {
  const auto found = in_progress_.find(place.listener);
  if (found != in_progress_.end() && found->second->all.size() >= most)
    to_end(*found->second, place.listener).shed();
  // The end of the other handshake may have removed the listener's own list.
  in_progress_of(place.listener).add(place);
  metrics_.handshakes_in_progress.add();
}

Admission::InProgress& Admission::in_progress_of(const SharedCounters* listener) {
  const auto found = in_progress_.find(listener);
  if (found != in_progress_.end()) return *found->second;
  return *in_progress_.emplace(listener, std::make_unique<InProgress>()).first->second;
}

// A source that has more places than any other gives one up, so no source can take the places of others.
// Where each has one, a handshake that has not been paid for goes, the one with the worst lot: its time would
// come last. Only then the oldest, which an honest client would have ended by now.
PermitOwner& Admission::to_end(InProgress& progress, const SharedCounters* listener) {
  const InProgress::Source& most = progress.with_most();
  if (most.places.size() > 1) return *most.places.front()->owner;
  PermitRequest* worst = nullptr;
  for (const HandshakeWork work : {HandshakeWork::kResume, HandshakeWork::kFull}) {
    for (Lane* lane : {&on_loop_, &offloaded_}) {
      PermitRequest* of_lane = lane->by_work[static_cast<std::size_t>(work)].worst_new(listener);
      if (of_lane != nullptr && (worst == nullptr || of_lane->lot >= worst->lot)) worst = of_lane;
    }
  }
  return *(worst != nullptr ? worst->owner : progress.all.front()->owner);
}

void Admission::over(HandshakePlace& place) {
  const auto listener = in_progress_.find(place.listener);
  InProgress& progress = *listener->second;
  progress.remove(place);
  // Listeners come and go with reloads; those at work are kept, so that nothing is allocated for each
  // handshake.
  if (progress.all.empty() && in_progress_.size() > kIdleListeners) in_progress_.erase(listener);
  metrics_.handshakes_in_progress.sub();
}

void Admission::serve() {
  if (empty()) return;
  TimePoint now = Clock::now();
  for (Lane* lane : {&on_loop_, &offloaded_}) {
    for (FairQueue& queue : lane->by_work) refuse_stale(queue, now);
  }
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
  const bool can_serve = !on_loop_.empty();
  offload_is_next_ = !offload_is_next_;
  if (can_offload() && (offload_is_next_ || !can_serve)) return &offloaded_.next();
  return can_serve ? &on_loop_.next() : nullptr;
}

FairQueue& Admission::queue_of(const PermitRequest& request) {
  Lane& lane = request.cost.offloaded ? offloaded_ : on_loop_;
  return lane.by_work[static_cast<std::size_t>(request.cost.work)];
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
