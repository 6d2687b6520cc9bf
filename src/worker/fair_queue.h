#pragma once

#include <memory>
#include <unordered_map>

#include "base/units.h"
#include "connection/permits.h"

namespace headgate {

/// Permit requests of one kind, in the order in which they are to be granted: fair between listeners, and
/// between the sources of a listener.
///
/// Listeners take turns, and so do the sources of each, by the price of what they are granted (deficit round
/// robin with a list of new flows, as in RFC 8290): a source that brings nine tenths of the load gets no more
/// than each of the others, and a source that asks for the first time does not wait for those that ask again
/// and again. Within a source the order is that of asking; once the oldest request of the queue is `overdue`,
/// the newest come first, for the oldest clients have given up or soon will. Owns no request. Loop thread
/// only.
class FairQueue {
 public:
  FairQueue();
  ~FairQueue();
  FairQueue(const FairQueue&) = delete;
  FairQueue& operator=(const FairQueue&) = delete;

  void push(PermitRequest& request, Duration price);
  void remove(PermitRequest& request);
  [[nodiscard]] bool empty() const { return by_age_.empty(); }
  /// How many sources it remembers: those with requests, and some of those that were granted one lately.
  [[nodiscard]] std::size_t remembered_sources() const;
  /// The request that was pushed first; nullptr when there is none.
  [[nodiscard]] PermitRequest* oldest() const { return by_age_.front(); }

  /// Takes the next request out. Not when empty().
  enum class Order : std::uint8_t { kOldestFirst, kNewestFirst };
  PermitRequest& take(Order order);

 private:
  struct Source;
  struct Listener;
  template <class T>
  class Round;

  [[nodiscard]] Listener& listener_of(const PermitRequest& request);
  void unlink(PermitRequest& request, Listener& listener, Source& source);

  IntrusiveList<PermitRequest, &PermitRequest::of_age> by_age_;
  std::unordered_map<const SharedCounters*, std::unique_ptr<Listener>> listeners_;
  std::unique_ptr<Round<Listener>> round_;
};

}  // namespace headgate
