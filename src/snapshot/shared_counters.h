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

namespace headgate {

/// What all workers together know of a listener, for the limits that bind them together. Found again by the
/// listener's name at each reload. Any thread; untouched where no such limit is configured.
class SharedCounters {
 public:
  /// Takes a place for a connection from `source`, or says which limit forbids it.
  [[nodiscard]] std::optional<CloseReason> enter(const config::Limits& limits, SourceNetwork source);
  void leave(SourceNetwork source);

  /// Whether another handshake may begin now under `per_second`. A second's worth may come at once.
  [[nodiscard]] bool take_handshake(std::uint32_t per_second, TimePoint now);

 private:
  std::mutex mutex_;
  std::uint32_t connections_ = 0;
  std::map<SourceNetwork, std::uint32_t> sources_;
  TimePoint next_handshake_{};  // when the next one would be due if they came evenly
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
  ListenerPlace(const ListenerPlace&) = delete;
  ListenerPlace& operator=(const ListenerPlace&) = delete;

 private:
  std::shared_ptr<SharedCounters> counters_;
  SourceNetwork source_;
  bool entered_ = false;
};

}  // namespace headgate
