#include "connection/pump.h"

#include <algorithm>
#include <cerrno>

#include "net/plain_stream.h"

namespace headgate {
namespace {

// One bulk flow may move this much in a turn before the worker serves its other connections: it takes some
// 100 us of AES-GCM and copying.
constexpr std::size_t kTurnBytes = 256 * 1024;

// So many reads bring kTurnBytes where records are of an ordinary size. Where they hold a byte each, a read
// takes as long and brings little.
constexpr int kTurnReads = 3;

// A splice costs two system calls, as a read and a write do, and saves the two copies. From some 8 KiB on
// that is less; a pipe's own work makes it more for small messages. So a flow goes over when several reads in
// a row say so, and goes back likewise.
constexpr std::size_t kBulkBytes = 16 * 1024;
constexpr std::size_t kSmallBytes = 8 * 1024;
constexpr int kReadsForChange = 4;

// A destination that takes nothing for so long has nothing to gain by splice. And where the kernel is short
// of memory for TCP, a connection over loopback that was full for seconds begins again much later if its
// bytes were spliced.
constexpr Duration kSlow = std::chrono::milliseconds(200);

/// What a pump took from its source.
struct Taken {
  std::uint64_t bytes = 0;
  std::uint64_t spliced_bytes = 0;  // of `bytes`
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

void change_way(Flow& flow, SpliceEvent event, Context& context) {
  flow.spliced = event == SpliceEvent::kToSplice;
  flow.reads_for_change = 0;
  context.listener.metrics->splice_events[static_cast<std::size_t>(event)].add();
}

/// Learns from a read that brought so much whether the other way would be cheaper.
void choose_way(Flow& flow, std::size_t size_bytes, Stream& from, Stream& to, Context& context) {
  const bool other = flow.spliced
                         ? size_bytes < kSmallBytes
                         : size_bytes >= kBulkBytes && from.plain() != nullptr && to.plain() != nullptr;
  flow.reads_for_change = other ? flow.reads_for_change + 1 : 0;
  if (flow.reads_for_change == kReadsForChange)
    change_way(flow, flow.spliced ? SpliceEvent::kToBuffer : SpliceEvent::kToSplice, context);
}

/// One piece of a direction.
struct Moved {
  ReadResult read;
  IoStatus written = IoStatus::kDone;
  bool by_splice = false;
};

Moved copy_once(Stream& from, Stream& to, std::span<std::byte> room) {
  Moved copied{.read = from.read(room)};
  if (copied.read.status == IoStatus::kDone) copied.written = to.write(room.first(copied.read.size_bytes));
  return copied;
}

/// The next piece, on the flow's way. `first`: the loop has just told that there is something to read.
Moved move_once(Flow& flow, Stream& from, Stream& to, bool first, Context& context) {
  const std::span<std::byte> room = context.services.buffers.plaintext;
  if (!flow.spliced || from.has_buffered()) return copy_once(from, to, room);
  if (const auto spliced = to.plain()->splice_from(*from.plain(), context.services.pipes); !spliced) {
    change_way(flow, SpliceEvent::kNoPipe, context);
  } else if (spliced->read.status != IoStatus::kEnded &&
             (spliced->read.status != IoStatus::kWantRead || !first)) {
    return {.read = spliced->read, .written = spliced->written, .by_splice = true};
  }
  // Nothing, or the end: also what splice(2) says at TCP's urgent mark (RFC 6093), over which only a read
  // goes.
  const Moved copied = copy_once(from, to, room);
  if (flow.spliced && copied.read.status == IoStatus::kDone)
    change_way(flow, SpliceEvent::kToBuffer, context);
  return copied;
}

Pumped move_bytes(Side source, Flow& flow, Stream& from, Stream& to, Context& context, Taken& taken) {
  std::size_t left = kTurnBytes;
  for (int reads = 0; left > 0 && reads < kTurnReads; ++reads) {
    const auto [got, sent, by_splice] = move_once(flow, from, to, reads == 0, context);
    taken.key_updates += got.key_updates;
    if (got.status == IoStatus::kWantRead) return Pumped::kDrained;
    if (got.status == IoStatus::kEnded) return how_it_ended(from, source);
    if (got.status != IoStatus::kDone) return Pumped::kSourceFailed;
    taken.bytes += got.size_bytes;
    if (by_splice) taken.spliced_bytes += got.size_bytes;
    left -= std::min(left, got.size_bytes);
    choose_way(flow, got.size_bytes, from, to, context);
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
  if (taken.spliced_bytes > 0)
    metrics.spliced_bytes[static_cast<std::size_t>(direction)].add(taken.spliced_bytes);
}

}  // namespace

void destination_took(Flow& flow, Duration after, Context& context) {
  if (flow.spliced && after >= kSlow) change_way(flow, SpliceEvent::kToBuffer, context);
}

Pumped pump(Side source, Flow& flow, Context& context) {
  const bool client = source == Side::kClient;
  Stream& from = client ? *context.sides.client : *context.sides.backend;
  Stream& to = client ? *context.sides.backend : *context.sides.client;
  Taken taken;
  const Pumped pumped = move_bytes(source, flow, from, to, context, taken);
  count(taken, source, context);
  return pumped;
}

}  // namespace headgate
