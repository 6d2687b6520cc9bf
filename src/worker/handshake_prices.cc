#include "worker/handshake_prices.h"

#include <algorithm>

namespace headgate {
namespace {

using std::chrono::microseconds;

constexpr Duration kOrdinary = microseconds(200);
constexpr std::array<Duration, 3> kRsa{microseconds(900), microseconds(2500), microseconds(5500)};

// One step in so many counts: single steps that were interrupted do not matter.
constexpr int kMemory = 16;

}  // namespace

HandshakePrices::HandshakePrices() {
  prices_.fill(kOrdinary);
  std::ranges::copy(kRsa, prices_.end() - kRsaSizes);
}

void HandshakePrices::learn(const HandshakeCost& cost, Duration cpu) {
  Duration& price = prices_[index_of(cost)];
  price = std::max(price + (cpu - price) / kMemory, Duration(1));
}

std::size_t HandshakePrices::index_of(const HandshakeCost& cost) {
  if (cost.work != HandshakeWork::kFull && !cost.offloaded)
    return cost.work == HandshakeWork::kFinish ? 0 : 1;
  if (!is_rsa(cost.key)) return kFirstFull + static_cast<std::size_t>(cost.key);
  const std::size_t size = cost.key_bits <= 2048 ? 0 : cost.key_bits <= 3072 ? 1 : 2;
  return kKinds - kRsaSizes + size;
}

}  // namespace headgate
