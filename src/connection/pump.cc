#include "connection/pump.h"

#include <algorithm>
#include <cerrno>

namespace headgate {
namespace {

// One bulk flow may move this much in a turn before the worker serves its other connections: it takes some
// 100 us of AES-GCM and copying.
constexpr std::size_t kTurnBytes = 256 * 1024;

// So many reads bring kTurnBytes where records are of an ordinary size. Where they hold a byte each, a read
// takes as long and brings little.
constexpr int kTurnReads = 3;

/// What a pump took from its source.
struct Taken {
  std::uint64_t bytes = 0;
  std::uint64_t key_updates = 0;
};

/// Whether an end was the source's own. The kernel tells of a reset once: to a write, and then a read finds
/// an end. But it tells EPIPE where a FIN came before the reset; and no reset looks like a close_notify.
bool is_own_end(const Stream& from) {
  if (from.failure().kind == FailureKind::kNone || from.failure().error == EPIPE) return true;
  return from.is_tls() && !from.ended_without_notice();
}

/// Many clients end without close_notify when they have sent everything; of a backend the rest may lack.
Pumped how_it_ended(const Stream& from, Side source) {
  if (!is_own_end(from)) return Pumped::kSourceFailed;
  return source == Side::kBackend && from.ended_without_notice() ? Pumped::kCutShort : Pumped::kEnded;
}

Pumped move_bytes(Side source, Stream& from, Stream& to, std::span<std::byte> room, Taken& taken) {
  std::size_t left = kTurnBytes;
  for (int reads = 0; left > 0 && reads < kTurnReads; ++reads) {
    const ReadResult got = from.read(room);
    taken.key_updates += got.key_updates;
    if (got.status == IoStatus::kWantRead) return Pumped::kDrained;
    if (got.status == IoStatus::kEnded) return how_it_ended(from, source);
    if (got.status != IoStatus::kDone) return Pumped::kSourceFailed;
    taken.bytes += got.size_bytes;
    left -= std::min(left, got.size_bytes);
    const IoStatus sent = to.write(room.first(got.size_bytes));
    if (sent == IoStatus::kFailed) return Pumped::kDestinationFailed;
    if (sent == IoStatus::kWantWrite) return Pumped::kFull;
    if (got.drained) return Pumped::kShort;
  }
  return Pumped::kTurnIsOver;
}

void count(const Taken& taken, Side source, Context& context) {
  const bool client = source == Side::kClient;
  const Direction direction = client ? Direction::kFromClient : Direction::kToClient;
  ListenerMetrics& metrics = *context.listener.metrics;
  if (taken.key_updates > 0) metrics.key_updates[static_cast<std::size_t>(source)].add(taken.key_updates);
  if (taken.bytes == 0) return;
  (client ? context.info.bytes_from_client : context.info.bytes_to_client) += taken.bytes;
  metrics.bytes[static_cast<std::size_t>(direction)].add(taken.bytes);
}

}  // namespace

Pumped pump(Side source, Context& context) {
  const bool client = source == Side::kClient;
  Stream& from = client ? *context.sides.client : *context.sides.backend;
  Stream& to = client ? *context.sides.backend : *context.sides.client;
  Taken taken;
  const Pumped pumped = move_bytes(source, from, to, context.services.buffers.plaintext, taken);
  count(taken, source, context);
  return pumped;
}

}  // namespace headgate
