#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "base/close_reason.h"
#include "base/units.h"
#include "config/config.h"
#include "net/source_address.h"
#include "snapshot/pace.h"

namespace headgate {

/// What all workers together know of a listener, for the limits that bind them together. Found again by the
/// listener's name at each reload. Any thread; untouched where no such limit is configured.
class SharedCounters {
 public:
  /// Takes a place for a connection from `source`, or says which limit forbids it.
  [[nodiscard]] std::optional<CloseReason> enter(const config::Limits& limits, SourceNetwork source);
  /// Takes a place for a connection that is there already, whatever the limits.
  void enter_beyond_limits(SourceNetwork source);
  void leave(SourceNetwork source);

  /// Whether another handshake may begin now under `per_second`. A second's worth may come at once.
  [[nodiscard]] bool take_handshake(std::uint32_t per_second, TimePoint now) {
    return handshakes_.take(per_second, now);
  }
  /// The same for another connection.
  [[nodiscard]] bool take_connection(std::uint32_t per_second, TimePoint now) {
    return arrivals_.take(per_second, now);
  }

 private:
  std::mutex mutex_;
  std::uint32_t connections_ = 0;
  std::map<SourceNetwork, std::uint32_t> sources_;
  Pace handshakes_;
  Pace arrivals_;
};

/// A connection's place among those that count, once it has entered. It is given back when the connection
/// ends. Neither copied nor moved.
class ListenerPlace {
 public:
  ListenerPlace(std::shared_ptr<SharedCounters> counters, SourceNetwork source)
      : counters_(std::move(counters)), source_(source) {}
  ~ListenerPlace() {
    if (entered_) counters_->leave(source_);
  }
  /// Takes the place, or says which limit forbids it.
  [[nodiscard]] std::optional<CloseReason> enter(const config::Limits& limits) {
    const auto refused = counters_->enter(limits, source_);
    entered_ = !refused;
    return refused;
  }
  /// Takes the place of a connection that is there already.
  void enter_beyond_limits() {
    counters_->enter_beyond_limits(source_);
    entered_ = true;
  }
  ListenerPlace(const ListenerPlace&) = delete;
  ListenerPlace& operator=(const ListenerPlace&) = delete;

 private:
  std::shared_ptr<SharedCounters> counters_;
  SourceNetwork source_;
  bool entered_ = false;
};

}  // namespace headgate
