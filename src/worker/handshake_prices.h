#pragma once

#include <array>
#include <cstddef>

#include "base/units.h"
#include "tls/handshake/handshake_cost.h"

namespace headgate {

/// What each kind of a handshake's step takes on this machine: a moving average of the CPU time that the last
/// ones took. Before the first one it is what an ordinary server takes. Loop thread only.
class HandshakePrices {
 public:
  HandshakePrices();
  [[nodiscard]] Duration of(const HandshakeCost& cost) const {
    return prices_[index_of(cost)] + kTicket * cost.tickets;
  }
  void learn(const HandshakeCost& cost, Duration cpu);

 private:
  /// For one ticket that is not ours to be looked at by OpenSSL, where a client offers up to 1,600.
  static constexpr Duration kTicket = std::chrono::microseconds(2);
  // Ending and resuming, then full handshakes by the kind of our key: RSA in three sizes.
  static constexpr std::size_t kFirstFull = 2;
  static constexpr std::size_t kRsaSizes = 3;
  static constexpr std::size_t kKinds = kFirstFull + static_cast<std::size_t>(KeyType::kRsa) + kRsaSizes;
  [[nodiscard]] static std::size_t index_of(const HandshakeCost& cost);

  std::array<Duration, kKinds> prices_;
};

}  // namespace headgate
