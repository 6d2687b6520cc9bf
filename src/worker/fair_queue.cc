#include "worker/fair_queue.h"

#include <algorithm>
#include <array>
#include <bit>

#include "base/check.h"
#include "base/mix.h"

namespace headgate {
namespace {

// Flows that ask for the first time go before the others, but only to a bound: a flood from ever new
// addresses would starve all flows that have been served before.
constexpr int kNewFlowsInARow = 4;

// Flows that come at a time are divided into so many classes, and those of one class are served in order.
constexpr int kLots = 64;
// A source gets a new lot so often: a client that was unlucky tries again about a second later.
constexpr Duration kLotLife = std::chrono::seconds(1);

}  // namespace

/// Flows of one level that are served alternately: each round is worth one of the dearest request seen, so
/// that a flow is granted at least one request in each.
template <class T>
class FairQueue::Round {
 public:
  /// Says that `flow` has requests to grant from here on; does nothing if it takes part already.
  void join(T& flow) {
    if (flow.hook.linked) return;
    flow.credit = turn_;
    flow.is_new = true;
    new_.push_back(flow);
    enter_lot(flow);
  }
  /// Gives `flow` another lot.
  void change_lot(T& flow, std::uint8_t lot) {
    const bool competes = flow.hook.linked && flow.is_new;
    if (competes) leave_lot(flow);
    flow.lot = lot;
    if (competes) enter_lot(flow);
  }
  void expect(Duration price) { turn_ = std::max(turn_, price); }
  void leave(T& flow) {
    if (!flow.is_new) return old_.remove(flow);
    new_.remove(flow);
    leave_lot(flow);
  }
  /// `flow` has lost its last request. Returns whether it has left: then it has never been granted anything,
  /// and nothing need be remembered of it. Else it stays for one round, so that it cannot be new again at
  /// once.
  [[nodiscard]] bool withdraw(T& flow) {
    if (flow.is_new) leave(flow);
    return flow.is_new;
  }

  /// Returns the new flow with the worst lot; nullptr when there is none.
  [[nodiscard]] T* last_new() const {
    if (lots_present_ == 0) return nullptr;
    return of_lot_[static_cast<std::size_t>(std::bit_width(lots_present_)) - 1].back();
  }

  /// Returns the flow that is served next. At least one flow must not be idle. Calls `idle(flow)` for those
  /// that leave. A flow is new for one grant: prices are guesses, and a flow whose price is guessed too low
  /// would be granted many.
  template <class Idle>
  T& next(Order order, Idle idle) {
    if (!new_.empty() && (old_.empty() || new_in_a_row_ < kNewFlowsInARow)) {
      ++new_in_a_row_;
      T& flow = first_new(order);
      leave(flow);
      flow.is_new = false;
      old_.push_back(flow);
      return flow;
    }
    new_in_a_row_ = 0;
    for (;;) {
      if (old_.empty()) return next(order, idle);
      T& flow = *old_.front();
      if (flow.credit > Duration::zero() && !flow.empty()) return flow;
      old_.remove(flow);
      if (flow.empty()) {
        idle(flow);
      } else {
        flow.credit = std::min(flow.credit + turn_, turn_);
        old_.push_back(flow);
      }
    }
  }

 private:
  void enter_lot(T& flow) {
    of_lot_[flow.lot].push_back(flow);
    lots_present_ |= std::uint64_t{1} << flow.lot;
  }
  void leave_lot(T& flow) {
    of_lot_[flow.lot].remove(flow);
    if (of_lot_[flow.lot].empty()) lots_present_ &= ~(std::uint64_t{1} << flow.lot);
  }
  [[nodiscard]] T& first_new(Order order) const {
    return *(order == Order::kByLot
                 ? of_lot_[static_cast<std::size_t>(std::countr_zero(lots_present_))].front()
                 : new_.front());
  }

  IntrusiveList<T, &T::hook> new_, old_;
  std::array<IntrusiveList<T, &T::hook_of_lot>, kLots> of_lot_;  // the new ones once more
  std::uint64_t lots_present_ = 0;                               // a bit for each lot that has flows
  Duration turn_{1};
  int new_in_a_row_ = 0;
};

struct FairQueue::Source {
  SourceNetwork network = 0;
  ListHook<Source> hook, hook_of_lot;
  std::uint8_t lot = 0;
  Duration credit{};
  bool is_new = true;
  IntrusiveList<PermitRequest, &PermitRequest::of_source> requests;
  [[nodiscard]] bool empty() const { return requests.empty(); }
};

struct FairQueue::Listener {
  const SharedCounters* key = nullptr;
  ListHook<Listener> hook, hook_of_lot;
  std::uint8_t lot = 0;  // the same for all listeners
  Duration credit{};
  bool is_new = true;
  std::size_t waiting = 0;
  std::unordered_map<SourceNetwork, Source> sources;
  Round<Source> round;
  [[nodiscard]] bool empty() const { return waiting == 0; }
};

FairQueue::FairQueue(std::uint64_t secret) : secret_(secret), round_(std::make_unique<Round<Listener>>()) {}
FairQueue::~FairQueue() = default;

FairQueue::Listener& FairQueue::listener_of(const PermitRequest& request) {
  const auto found = listeners_.find(request.listener);
  if (found != listeners_.end()) return *found->second;
  auto listener = std::make_unique<Listener>();
  listener->key = request.listener;
  return *listeners_.emplace(request.listener, std::move(listener)).first->second;
}

std::uint8_t FairQueue::lot_of(const PermitRequest& request) const {
  const auto period = static_cast<std::uint64_t>(request.asked.time_since_epoch() / kLotLife);
  return static_cast<std::uint8_t>(mix(mix(secret_ + period) ^ request.source) % kLots);
}

void FairQueue::push(PermitRequest& request, Duration price) {
  request.price = price;
  Listener& listener = listener_of(request);
  Source& source = listener.sources[request.source];
  source.network = request.source;
  request.lot = lot_of(request);
  if (request.lot != source.lot) listener.round.change_lot(source, request.lot);
  round_->expect(price);
  listener.round.expect(price);
  source.requests.push_back(request);
  ++listener.waiting;
  by_age_.push_back(request);
  listener.round.join(source);
  round_->join(listener);
}

void FairQueue::remove(PermitRequest& request) {
  Listener& listener = *listeners_.at(request.listener);
  Source& source = listener.sources.at(request.source);
  unlink(request, listener, source);
  if (source.empty() && listener.round.withdraw(source)) listener.sources.erase(request.source);
  if (listener.empty() && round_->withdraw(listener)) listeners_.erase(request.listener);
}

void FairQueue::unlink(PermitRequest& request, Listener& listener, Source& source) {
  source.requests.remove(request);
  --listener.waiting;
  by_age_.remove(request);
}

std::size_t FairQueue::remembered_sources() const {
  std::size_t sum = 0;
  for (const auto& [key, listener] : listeners_) sum += listener->sources.size();
  return sum;
}

PermitRequest* FairQueue::worst_new(const SharedCounters* listener) const {
  const auto found = listeners_.find(listener);
  const Source* source = found == listeners_.end() ? nullptr : found->second->round.last_new();
  return source == nullptr ? nullptr : source->requests.front();
}

PermitRequest& FairQueue::take(Order order) {
  HG_CHECK(!by_age_.empty());
  Listener& listener = round_->next(order, [this](Listener& idle) { listeners_.erase(idle.key); });
  Source& source =
      listener.round.next(order, [&listener](Source& idle) { listener.sources.erase(idle.network); });
  PermitRequest& request = *(order == Order::kByLot ? source.requests.back() : source.requests.front());
  listener.credit -= request.price;
  source.credit -= request.price;
  unlink(request, listener, source);
  return request;
}

}  // namespace headgate
