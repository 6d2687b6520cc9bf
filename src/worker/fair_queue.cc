#include "worker/fair_queue.h"

#include <algorithm>

#include "base/check.h"

namespace headgate {
namespace {

// Flows that ask for the first time go before the others, but only to a bound: a flood from ever new
// addresses would starve all flows that have been served before.
constexpr int kNewFlowsInARow = 4;

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
    flow.is_charged = false;
    new_.push_back(flow);
  }
  void expect(Duration price) { turn_ = std::max(turn_, price); }
  void leave(T& flow) { (flow.is_new ? new_ : old_).remove(flow); }
  /// `flow` has lost its last request. Returns whether it has left: then it has never been granted anything,
  /// and nothing need be remembered of it. Else it stays for one round, so that it cannot be new again at
  /// once. Flows of clients that come once would pile up among the new ones otherwise.
  [[nodiscard]] bool withdraw(T& flow) {
    if (!flow.is_new) return false;
    new_.remove(flow);
    if (!flow.is_charged) return true;
    flow.is_new = false;
    old_.push_back(flow);
    return false;
  }

  /// Returns the flow that is served next. At least one flow must not be idle. Calls `idle(flow)` for those
  /// that leave.
  template <class Idle>
  T& next(Order order, Idle idle) {
    for (;;) {
      const bool from_new = !new_.empty() && (old_.empty() || new_in_a_row_ < kNewFlowsInARow);
      T& flow = *(from_new ? (order == Order::kNewestFirst ? new_.back() : new_.front()) : old_.front());
      if (flow.credit > Duration::zero() && !flow.empty()) {
        new_in_a_row_ = from_new ? new_in_a_row_ + 1 : 0;
        return flow;
      }
      const bool over = flow.empty() && !from_new;
      leave(flow);
      if (over) {
        idle(flow);
      } else {  // a flow that has just emptied stays for one round, so that it cannot be new again at once
        flow.credit = std::min(flow.credit + turn_, turn_);
        flow.is_new = false;
        old_.push_back(flow);
        new_in_a_row_ = from_new ? new_in_a_row_ : 0;
      }
    }
  }

 private:
  IntrusiveList<T, &T::hook> new_, old_;
  Duration turn_{1};
  int new_in_a_row_ = 0;
};

struct FairQueue::Source {
  SourceNetwork network = 0;
  ListHook<Source> hook;
  Duration credit{};
  bool is_new = true;
  bool is_charged = false;
  IntrusiveList<PermitRequest, &PermitRequest::of_source> requests;
  [[nodiscard]] bool empty() const { return requests.empty(); }
};

struct FairQueue::Listener {
  const SharedCounters* key = nullptr;
  ListHook<Listener> hook;
  Duration credit{};
  bool is_new = true;
  bool is_charged = false;
  std::size_t waiting = 0;
  std::unordered_map<SourceNetwork, Source> sources;
  Round<Source> round;
  [[nodiscard]] bool empty() const { return waiting == 0; }
};

FairQueue::FairQueue() : round_(std::make_unique<Round<Listener>>()) {}
FairQueue::~FairQueue() = default;

FairQueue::Listener& FairQueue::listener_of(const PermitRequest& request) {
  auto& listener = listeners_[request.listener];
  if (!listener) {
    listener = std::make_unique<Listener>();
    listener->key = request.listener;
  }
  return *listener;
}

void FairQueue::push(PermitRequest& request, Duration price) {
  request.price = price;
  Listener& listener = listener_of(request);
  Source& source = listener.sources[request.source];
  source.network = request.source;
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

PermitRequest& FairQueue::take(Order order) {
  HG_CHECK(!by_age_.empty());
  Listener& listener = round_->next(order, [this](Listener& idle) { listeners_.erase(idle.key); });
  Source& source =
      listener.round.next(order, [&listener](Source& idle) { listener.sources.erase(idle.network); });
  PermitRequest& request = *(order == Order::kNewestFirst ? source.requests.back() : source.requests.front());
  listener.credit -= request.price;
  source.credit -= request.price;
  listener.is_charged = source.is_charged = true;
  unlink(request, listener, source);
  static_cast<void>(source.empty() && listener.round.withdraw(source));  // it has been charged, so it stays
  return request;
}

}  // namespace headgate
