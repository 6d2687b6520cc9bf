#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/close_reason.h"
#include "base/units.h"
#include "metrics/worker_metrics.h"

namespace headgate {

/// How a client's handshake came out, as the status page tells them apart.
enum class HandshakeOutcome : std::uint8_t { kFull, kResumed, kFailed, kTimeout, kShed, kProbe };
inline constexpr std::size_t kHandshakeOutcomeCount = 6;
/// The word in /history.json ("full", "timeout"). Any thread.
[[nodiscard]] std::string_view name(HandshakeOutcome outcome);

/// The events of a short time.
struct HistoryStep {
  WallTime ended{};
  Duration length{};
  std::array<std::uint64_t, kHandshakeOutcomeCount> handshakes{};
  std::array<std::uint64_t, kDirectionCount> bytes{};         ///< By Direction; plaintext.
  std::uint64_t open = 0;                                     ///< Connections at the end of the step.
  std::vector<std::pair<CloseReason, std::uint64_t>> ends{};  ///< The most frequent first, at most kEnds.
};

/// The events of the last hour, of the process and of each listener, so that a person who opens the status
/// page after an event still sees it. It begins with the process: an upgrade does not hand it over.
///
/// One listener takes at most 100 KiB. The main thread adds to it, any thread reads.
class History {
 public:
  static constexpr Duration kStep = std::chrono::seconds(10);
  static constexpr std::size_t kSteps = 360;
  /// Of more listeners those without an event for an hour give up their place.
  static constexpr std::size_t kListeners = 32;
  static constexpr std::size_t kEnds = 8;

  /// `registry` outlives it.
  explicit History(const MetricsRegistry& registry) : registry_(registry) {}

  /// Adds a step when kStep has passed since the one before. Call it often. Main thread.
  void step(TimePoint now, WallTime wall);
  /// The steps of a listener, those of the process where `listener` is empty, the oldest first; nothing where
  /// no such listener has a history.
  [[nodiscard]] std::optional<std::vector<HistoryStep>> steps(const std::string& listener) const;

 private:
  /// Counts since the start, over all workers.
  struct Totals {
    std::array<std::uint64_t, kHandshakeOutcomeCount> handshakes{};
    std::array<std::uint64_t, kDirectionCount> bytes{};
    std::array<std::uint64_t, kCloseReasonCount> closed{};
    std::uint64_t open = 0;
    void add(const ListenerMetrics& metrics);
    void add(const Totals& other);
  };
  struct Line {
    Totals before{};
    std::deque<HistoryStep> steps{};
  };

  [[nodiscard]] std::map<std::string, Totals> totals() const;
  void begin_line(const std::string& listener, const Totals& totals);
  [[nodiscard]] static HistoryStep difference(const Totals& before, const Totals& now);

  const MetricsRegistry& registry_;
  std::optional<TimePoint> stepped_{};  // main thread
  mutable std::mutex mutex_;
  std::map<std::string, Line> lines_;  // guarded by it; "" is the process
};

}  // namespace headgate
