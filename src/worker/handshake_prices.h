#pragma once

#include <array>
#include <cstddef>

#include "base/units.h"
#include "tls/handshake/handshake_cost.h"

namespace headgate {

/// Knows the CPU time that each kind of a handshake's step takes on this machine: a moving average over the
/// last steps. Before the first step it is the time on an ordinary server. Loop thread only.
class HandshakePrices {
 public:
  HandshakePrices();
  [[nodiscard]] Duration of(const HandshakeCost& cost) const {
    return prices_[index_of(cost)] + kTicket * cost.tickets;
  }
  void learn(const HandshakeCost& cost, Duration cpu);

 private:
  /// The price of OpenSSL's look at one ticket that is not ours, of which a client offers up to 1,600.
  static constexpr Duration kTicket = std::chrono::microseconds(2);
  // First the steps that end and that resume, then full handshakes by the kind of our key: RSA in three
  // sizes.
  static constexpr std::size_t kFirstFull = 2;
  static constexpr std::size_t kRsaSizes = 3;
  static constexpr std::size_t kKinds = kFirstFull + static_cast<std::size_t>(KeyType::kRsa) + kRsaSizes;
  [[nodiscard]] static std::size_t index_of(const HandshakeCost& cost);

  std::array<Duration, kKinds> prices_;
};

}  // namespace headgate
