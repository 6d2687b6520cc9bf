#include "connection/connection.h"
#include "connection/ending.h"
#include "connection/phase.h"
#include "connection/pump.h"

namespace headgate {
namespace {

/// One direction, as a step of the relay sees it.
struct Way {
  Flow& flow;
  Stream& from;
  Stream& to;
  Side source, destination;
  const std::uint64_t& total_bytes;
};

/// Carries one direction as far as it goes. Nothing: it waits.
std::optional<Phase> carry(const Way& way, bool readable, bool writable, Relay& relay, Context& context) {
  if (way.to.unsent_bytes() > 0) {
    if (!writable) return std::nullopt;
    const std::size_t before_bytes = way.to.unsent_bytes();
    const IoStatus flushed = way.to.flush();
    if (flushed == IoStatus::kFailed) return end_broken(relay, context, way.destination);
    // A destination that takes a little at a time is slow, and not idle.
    if (way.to.unsent_bytes() < before_bytes) {
      const TimePoint now = context.services.host.now();
      destination_took(way.flow, now - relay.last_byte, context);
      relay.last_byte = now;
    }
    if (flushed == IoStatus::kWantWrite) return std::nullopt;
    readable = true;
  }
  if (!way.flow.ended && (readable || way.from.has_buffered())) {
    const std::uint64_t before_bytes = way.total_bytes;
    const Pumped pumped = pump(way.source, way.flow, context);
    if (way.total_bytes != before_bytes) relay.last_byte = context.services.host.now();
    if (pumped == Pumped::kSourceFailed) return end_broken(relay, context, way.source);
    if (pumped == Pumped::kDestinationFailed) return end_broken(relay, context, way.destination);
    if (pumped == Pumped::kCutShort) return end_cut_short(relay, context);
    if (pumped == Pumped::kTurnIsOver && way.from.has_buffered()) {
      context.services.host.call_again(context.connection);
    }
    way.flow.ended = pumped == Pumped::kEnded;
  }
  if (way.flow.ended && !way.flow.finished) {
    relay.cut_short = relay.cut_short || way.from.ended_without_notice();
    const bool last = relay.to_backend.ended && relay.to_client.ended;
    const IoStatus ended = last ? way.to.end_before_close() : way.to.end_writing();
    if (ended == IoStatus::kFailed) return end_broken(relay, context, way.destination);
    way.flow.finished = ended == IoStatus::kDone;
    if (relay.half_closed == TimePoint{}) relay.half_closed = context.services.host.now();
  }
  return std::nullopt;
}

/// The relay reads a side while its direction is open and the other side has taken every byte, and writes a
/// side while bytes for it are left. So a slow reader makes Headgate keep one write's worth of bytes,
/// kMaxWriteBytes, and no more.
Interest interest_in(const Stream& side, const Flow& from_side, const Flow& to_side, const Stream& other) {
  const bool read = !from_side.ended && other.unsent_bytes() == 0;
  const bool write = side.unsent_bytes() > 0 || (to_side.ended && !to_side.finished);
  return interest_if(read, Interest::kRead) | interest_if(write, Interest::kWrite);
}

/// For limits.read_bytes_per_second. A connection from another process may bring bytes that its client has
/// not taken, so the first step counts as if it had sent some.
void watch_reader(Relay& relay, bool has_sent, Context& context) {
  const std::uint32_t bytes_per_second = context.listener.policy->config.limits.read_bytes_per_second;
  if (bytes_per_second == 0 || (relay.reader && !has_sent)) return;
  if (!relay.reader) relay.reader = std::make_unique<ReaderWatch>();
  relay.reader->sent(*context.sides.client, context.info.bytes_to_client, bytes_per_second,
                     context.services.host.now());
}

}  // namespace

Step step(Relay& relay, Context& context) {
  Stream& client = *context.sides.client;
  Stream& backend = *context.sides.backend;
  const Ready ready = context.ready;
  const Way ways[] = {
      {relay.to_backend, client, backend, Side::kClient, Side::kBackend, context.info.bytes_from_client},
      {relay.to_client, backend, client, Side::kBackend, Side::kClient, context.info.bytes_to_client},
  };
  const std::uint64_t sent_before_bytes = context.info.bytes_to_client;
  const bool client_readable = includes(ready.client, Interest::kRead);
  const bool client_writable = includes(ready.client, Interest::kWrite);
  const bool backend_readable = includes(ready.backend, Interest::kRead);
  const bool backend_writable = includes(ready.backend, Interest::kWrite);
  if (auto end = carry(ways[0], client_readable, backend_writable, relay, context)) return *std::move(end);
  if (auto end = carry(ways[1], backend_readable, client_writable, relay, context)) return *std::move(end);
  if (relay.to_backend.finished && relay.to_client.finished) {
    return Close{relay.cut_short ? CloseReason::kClientTruncated : CloseReason::kFinished};
  }
  watch_reader(relay, context.info.bytes_to_client != sent_before_bytes, context);
  return Wait{.client = interest_in(client, relay.to_backend, relay.to_client, backend),
              .backend = interest_in(backend, relay.to_client, relay.to_backend, client)};
}

}  // namespace headgate
