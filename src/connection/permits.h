#pragma once

#include <cstdint>

#include "base/intrusive_list.h"
#include "base/units.h"
#include "net/source_address.h"
#include "tls/handshake/handshake_cost.h"

namespace headgate {

class Connection;
class SharedCounters;

/// A connection, as the admission queue sees it.
class PermitOwner {
 public:
  /// The connection may take the step that it asked for.
  virtual void permit_granted() = 0;
  /// The connection may not take the step, and ends: the queue is too long.
  virtual void permit_refused() = 0;
  /// The connection ends: another handshake takes its place among those in progress.
  virtual void shed() = 0;

 protected:
  ~PermitOwner() = default;
};

/// A handshake's request for a permit to use CPU time. A node of the admission queue's lists, so it neither
/// moves nor dies while it is queued. Loop thread only.
struct PermitRequest {
  PermitOwner* owner = nullptr;
  const SharedCounters* listener = nullptr;  ///< Stands for the listener, across reloads.
  SourceNetwork source = 0;
  HandshakeCost cost;
  bool queued = false;
  bool granted = false;
  TimePoint asked{};     ///< When it was queued.
  Duration price{};      ///< The CPU time that its step is expected to take.
  std::uint8_t lot = 0;  ///< The place of its source in the order of an overload: the least goes first.
  ListHook<PermitRequest> of_age{}, of_source{};
};

/// A handshake in progress, which counts for the limit of its listener: see PermitRequest.
struct HandshakePlace {
  PermitOwner* owner = nullptr;
  const SharedCounters* listener = nullptr;
  SourceNetwork source = 0;
  ListHook<HandshakePlace> of_age{}, of_source{};
};

/// Gives permits for the CPU time of handshakes; the worker's admission queue implements it.
class Permits {
 public:
  virtual ~Permits() = default;
  /// Queues `request`. Later the queue calls either permit_granted() or permit_refused() of its owner, but
  /// never from within this call.
  virtual void request(PermitRequest& request) = 0;
  /// Takes `request` out of the queue; does nothing if it is not in the queue.
  virtual void withdraw(PermitRequest& request) = 0;
  /// Says how much CPU time a permitted step took: the queue expects the next steps of its kind to take as
  /// much.
  virtual void learn(const HandshakeCost& cost, Duration cpu) = 0;

  /// Says that a handshake begins. If that makes more than `most` handshakes of its listener on this worker,
  /// the queue ends another one: no client holds a place by doing nothing.
  virtual void begin(HandshakePlace& place, std::uint32_t most) = 0;
  /// Says that the handshake is over, well or not.
  virtual void over(HandshakePlace& place) = 0;
};

/// A connection's request, which leaves the queue when destroyed. Neither copied nor moved.
class HeldRequest final : public PermitRequest, private PermitOwner {
 public:
  /// `detail_when_refused` is what the log says if the permit is refused: a literal.
  HeldRequest(Permits& permits, Connection& connection, const SharedCounters& of_listener,
              SourceNetwork of_network, const char* detail_when_refused)
      : permits_(permits), connection_(connection), detail_when_refused_(detail_when_refused) {
    owner = this;
    listener = &of_listener;
    source = of_network;
  }
  ~HeldRequest() { permits_.withdraw(*this); }
  HeldRequest(const HeldRequest&) = delete;
  HeldRequest& operator=(const HeldRequest&) = delete;

  /// Queues the request for a step of cost `for_cost`.
  void ask(const HandshakeCost& for_cost) {
    cost = for_cost;
    permits_.request(*this);
  }

 private:
  void permit_granted() override;
  void permit_refused() override;
  void shed() override;

  Permits& permits_;
  Connection& connection_;
  const char* detail_when_refused_;
};

/// A connection's place among the handshakes in progress, which it leaves when destroyed. Neither copied nor
/// moved.
class HeldPlace final : public HandshakePlace {
 public:
  /// For the connection of `request`, which outlives the place.
  HeldPlace(Permits& permits, const PermitRequest& request, std::uint32_t most) : permits_(permits) {
    owner = request.owner;
    listener = request.listener;
    source = request.source;
    permits_.begin(*this, most);
  }
  ~HeldPlace() { permits_.over(*this); }
  HeldPlace(const HeldPlace&) = delete;
  HeldPlace& operator=(const HeldPlace&) = delete;

 private:
  Permits& permits_;
};

}  // namespace headgate
