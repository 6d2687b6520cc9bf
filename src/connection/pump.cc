#include "connection/pump.h"

#include <algorithm>
#include <cerrno>

namespace headgate {
namespace {

// One bulk flow may move this much in a turn before the worker serves its other connections: it takes some
// 100 us of AES-GCM and copying.
constexpr std::size_t kTurnBytes = 256 * 1024;

/// Whether an end was the source's own. The kernel tells of a reset once: to a write, and then a read finds
/// an end. But it tells EPIPE where a FIN came before the reset; and no reset looks like a close_notify.
bool is_own_end(const Stream& from) {
  if (from.failure().kind == FailureKind::kNone || from.failure().error == EPIPE) return true;
  return from.is_tls() && !from.ended_without_notice();
}

}  // namespace

Pumped pump(Stream& from, Stream& to, std::span<std::byte> room, Taken& taken) {
  std::size_t left = kTurnBytes;
  while (left > 0) {
    const ReadResult got = from.read(room);
    taken.key_updates += got.key_updates;
    if (got.status == IoStatus::kWantRead) return Pumped::kDrained;
    if (got.status == IoStatus::kEnded) return is_own_end(from) ? Pumped::kEnded : Pumped::kSourceFailed;
    if (got.status != IoStatus::kDone) return Pumped::kSourceFailed;
    taken.bytes += got.size_bytes;
    left -= std::min(left, got.size_bytes);
    const IoStatus sent = to.write(room.first(got.size_bytes));
    if (sent == IoStatus::kFailed) return Pumped::kDestinationFailed;
    if (sent == IoStatus::kWantWrite) return Pumped::kFull;
    if (got.drained) return Pumped::kDrained;
  }
  return Pumped::kTurnIsOver;
}

}  // namespace headgate
