#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/close_reason.h"
#include "base/units.h"
#include "connection/client_offer.h"
#include "connection/connection_info.h"
#include "metrics/worker_metrics.h"
#include "net/source_address.h"

namespace headgate {

/// A handshake as the flight recorder keeps it: unformatted, so that keeping it is cheap. A value.
struct RecordedHandshake {
  /// A longer server name is cut: no name of the DNS is longer.
  static constexpr std::size_t kMaxNameBytes = 255;

  WallTime at{};
  std::string listener{};
  SourceAddress source{};
  HandshakeResult result = HandshakeResult::kOk;
  HandshakeFailure failure = HandshakeFailure::kNone;  ///< kNone when it succeeded.
  std::int16_t alert = -1;                             ///< -1: none.
  std::string server_name{};
  ClientOffer offer{};
  std::string version{}, group{}, cipher{};  ///< The parameters that were agreed; empty: no agreement.
  bool resumed = false;
  HandshakeTimes times{};
};

/// Keeps the last failed handshakes of one worker and the slowest of the last minutes, for /handshakes.json.
/// It ignores handshakes of listed probes. Loop thread only.
///
/// Bounded: 3 * kKept handshakes (failed, slow in this window, slow in the window before), each with a
/// ClientOffer and a server name of bounded size; together less than kMaxBytes.
class FlightRecorder {
 public:
  static constexpr std::size_t kKept = 64;
  /// The most memory that a recorder takes, names of listeners aside.
  static constexpr std::size_t kMaxBytes = std::size_t{512} * 1024;
  /// The length of a window; a recorder keeps the slowest handshakes of the last one to two windows.
  static constexpr Duration kWindow = std::chrono::minutes(10);

  /// Records a handshake that succeeded and took `times.total`; `offer` is the client's offer, and is copied
  /// only if the recorder keeps the handshake. Cheap unless the handshake is slow.
  void done(std::string_view listener, const ConnectionInfo& info, const HandshakeTimes& times,
            const ClientOffer& offer, TimePoint now);
  /// Records a handshake that failed. `offer` is empty where no whole ClientHello arrived.
  void failed(std::string_view listener, const ConnectionInfo& info, HandshakeResult result,
              const HandshakeTimes& times, ClientOffer offer);

  /// Returns the failed handshakes in no order.
  [[nodiscard]] const std::vector<RecordedHandshake>& failed() const { return failed_; }
  /// Returns the slow handshakes, the slowest first.
  [[nodiscard]] std::vector<RecordedHandshake> slowest(TimePoint now);

 private:
  void begin_window(TimePoint now);

  std::vector<RecordedHandshake> failed_;  // a ring: next_ is where the oldest stands once it is full
  std::size_t next_ = 0;
  std::vector<RecordedHandshake> slowest_;  // of this window: a heap, the least slow one in front
  std::vector<RecordedHandshake> before_;   // of the window before
  TimePoint window_ends_{};
};

}  // namespace headgate
