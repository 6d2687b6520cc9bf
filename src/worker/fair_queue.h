#pragma once

#include <memory>
#include <unordered_map>

#include "base/units.h"
#include "connection/permits.h"

namespace headgate {

/// Keeps the permit requests of one kind in the order in which they are to be granted. It is fair between
/// listeners, and between the sources of a listener.
///
/// The queue serves listeners alternately, and the sources of each, by the price of the granted requests
/// (deficit round robin with a list of new flows, as in RFC 8290): a source that brings nine tenths of the
/// load gets no more than each of the others, and a source that asks for the first time does not wait for
/// those that ask again and again. The requests of one source keep the order of asking.
///
/// When more sources ask for the first time than can be served, an order by age would serve each of them too
/// late, and an order by youth would serve the source that asks right before a grant. So then the lot
/// decides: each source has one lot for about a second, and the sources with the best lots are served at
/// once, however often a source asks and at what moment. The newest request of a source comes first then.
///
/// The queue owns no request. Loop thread only.
class FairQueue {
 public:
  /// `secret` makes the lots unpredictable for clients.
  explicit FairQueue(std::uint64_t secret);
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

  /// The request of `listener` that would be granted last in an overload, of the sources that ask for the
  /// first time; nullptr when there is none.
  [[nodiscard]] PermitRequest* worst_new(const SharedCounters* listener) const;

  /// Takes the next request out. Not when empty().
  enum class Order : std::uint8_t { kOldestFirst, kByLot };
  PermitRequest& take(Order order);

 private:
  struct Source;
  struct Listener;
  template <class T>
  class Round;

  [[nodiscard]] std::uint8_t lot_of(const PermitRequest& request) const;
  [[nodiscard]] Listener& listener_of(const PermitRequest& request);
  void unlink(PermitRequest& request, Listener& listener, Source& source);

  std::uint64_t secret_;
  IntrusiveList<PermitRequest, &PermitRequest::of_age> by_age_;
  std::unordered_map<const SharedCounters*, std::unique_ptr<Listener>> listeners_;
  std::unique_ptr<Round<Listener>> round_;
};

}  // namespace headgate
