#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>

#include "base/close_reason.h"
#include "metrics/counter.h"

namespace headgate {

/// Counts failed handshakes by reason and alert: a small table of the pairs that have been seen, in place of
/// a counter for each possible pair. One thread writes, any thread reads, without a lock.
///
/// The first kPairs pairs have a counter each. A later pair counts as kOtherAlert of its reason, so the sum
/// over a reason's alerts is always right.
class FailureCounters {
 public:
  /// More pairs than a listener sees: most reasons come with one alert, and a client's own alert is one of
  /// 34.
  static constexpr std::size_t kPairs = 64;

  /// `alert` is a TLS alert or kNoAlert; one without a name counts as kOtherAlert. Writer thread only.
  void add(HandshakeFailure reason, std::uint8_t alert, std::uint64_t n = 1);
  /// Adds the counts to `sums`, by reason and alert; pairs without a failure are left out. Any thread.
  void add_to(std::map<std::pair<HandshakeFailure, std::uint8_t>, std::uint64_t>& sums) const;

 private:
  [[nodiscard]] Counter& of(HandshakeFailure reason, std::uint8_t alert);

  // The pair in each place, 0 where the place is free. Places are taken in order and never given back.
  std::array<std::atomic<std::uint16_t>, kPairs> pairs_{};
  std::array<Counter, kPairs> counts_;
  std::array<Counter, kHandshakeFailureCount> beyond_;  // by reason: pairs that found no place
};

}  // namespace headgate
