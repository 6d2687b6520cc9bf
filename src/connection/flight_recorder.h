#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "base/close_reason.h"
#include "connection/connection_info.h"
#include "metrics/reports.h"
#include "metrics/worker_metrics.h"

namespace headgate {

/// The last failed handshakes of one worker and the slowest of the last minutes, for /handshakes.json; those
/// of listed probes are passed over. Bounded. Loop thread only.
class FlightRecorder {
 public:
  static constexpr std::size_t kKept = 64;
  /// The slowest are those of the last one to two of these.
  static constexpr Duration kWindow = std::chrono::minutes(10);

  /// A handshake that went well and took `times.total`; `hello` is what the client sent first. Cheap unless
  /// it is slow.
  void done(std::string_view listener, const ConnectionInfo& info, const HandshakeTimes& times,
            std::span<const std::byte> hello, TimePoint now);
  /// One that did not.
  void failed(std::string_view listener, const ConnectionInfo& info, HandshakeResult result,
              const HandshakeTimes& times, std::span<const std::byte> hello);

  /// In no order.
  [[nodiscard]] const std::vector<HandshakeReport>& failed() const { return failed_; }
  [[nodiscard]] std::vector<HandshakeReport> slowest(TimePoint now);

 private:
  std::vector<HandshakeReport> failed_;  // a ring: next_ is where the oldest stands once it is full
  std::size_t next_ = 0;
  void begin_window(TimePoint now);

  std::vector<HandshakeReport> slowest_;  // of this window: a heap, the least slow one in front
  std::vector<HandshakeReport> before_;   // of the window before
  TimePoint window_ends_{};
};

}  // namespace headgate
