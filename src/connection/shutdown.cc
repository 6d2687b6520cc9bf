#include <algorithm>
#include <utility>

#include "connection/connection.h"
#include "connection/ending.h"
#include "connection/phase.h"
#include "connection/pump.h"
#include "net/socket.h"

namespace headgate {
namespace {

// Of what a peer still sends, this many reads are dropped in one turn.
constexpr int kMaxReads = 16;

// The kernel announces no acknowledgement, so a timer looks for it: soon at first, since most peers need one
// round trip, and then ever more seldom.
constexpr Duration kFirstLook = std::chrono::milliseconds(5);
constexpr Duration kLongestPause = std::chrono::milliseconds(250);

/// Writes the farewell behind everything else. A reset is said when nothing is left to be sent.
IoStatus say(const SideEnd& end, Stream& stream) {
  switch (end.farewell) {
    case Farewell::kNothing:
      return IoStatus::kDone;
    case Farewell::kInOrder:
      return stream.end_writing();
    case Farewell::kCutShort:
      return stream.end_cut_short();
    case Farewell::kAlert:
      return stream.end_with_alert(static_cast<std::uint8_t>(end.alert));
    case Farewell::kReset:
      return stream.flush();
  }
  return IoStatus::kFailed;
}

/// Reads and drops what the peer still sends: a peer that writes before it reads must not wait for us. False:
/// the connection is gone.
bool hear_out(SideEnd& end, Stream& stream, Context& context) {
  for (int i = 0; i < kMaxReads && !end.peer_ended; ++i) {
    const IoStatus got = context.services.transport.discard(stream, context.services.buffers.plaintext);
    if (got == IoStatus::kWantRead) break;
    if (got == IoStatus::kFailed) return false;
    end.peer_ended = got == IoStatus::kEnded;
    end.peer_writes = end.peer_writes || got == IoStatus::kDone;
  }
  return true;
}

/// Whether nothing but the delivery of the last bytes is awaited of a side.
bool awaits_delivery(const SideEnd& end) {
  if (!end.said) return false;
  const bool hears_out = end.peer_writes && !end.peer_ended;
  return end.open == SideEnd::Open::kUntilDelivered ||
         (end.open == SideEnd::Open::kUntilPeerEnds && !hears_out);
}

bool may_close(const SideEnd& end, const Stream& stream) {
  if (end.open == SideEnd::Open::kUntilSaid) return end.said;
  return awaits_delivery(end) && undelivered_bytes(stream.descriptor()) == 0;
}

/// Goes on with one side. Nothing: its descriptor can be closed.
std::optional<Interest> go_on(SideEnd& end, Stream& stream, Context& context) {
  IoStatus status = IoStatus::kDone;
  if (!end.said) status = say(end, stream);
  if (status == IoStatus::kFailed || !hear_out(end, stream, context)) return std::nullopt;
  end.said = status == IoStatus::kDone;
  if (may_close(end, stream)) return std::nullopt;
  return interest_if(!end.peer_ended, Interest::kRead) | interest_if(!end.said, Interest::kWrite);
}

/// Delivers what a side had sent before it broke, and its end where it had ended in order by then. False:
/// there may be more, once the other side has taken what it got, or in the next turn: no event tells of an
/// end behind the last bytes, because nothing more is read of this side than what is there.
bool deliver_rest(Ending& ending, Context& context) {
  const bool client = ending.rest == Side::kClient;
  Stream& to = client ? *context.sides.backend : *context.sides.client;
  if (to.unsent_bytes() > 0) {
    const IoStatus flushed = to.flush();
    if (flushed != IoStatus::kDone) return flushed == IoStatus::kFailed;
  }
  Flow flow;
  const Pumped pumped = pump(ending.rest, flow, context);
  if (pumped == Pumped::kEnded) (client ? ending.backend : ending.client).farewell = Farewell::kInOrder;
  const bool next_turn = pumped == Pumped::kTurnIsOver || pumped == Pumped::kShort;
  if (next_turn) context.services.host.call_again(context.connection);
  return !next_turn && pumped != Pumped::kFull;
}

/// Whether the end has taken too long: no peer has got a byte for timeouts.shutdown.
bool is_too_late(Ending& ending, const Context& context) {
  const bool moves = bytes_left(context.sides) < ending.left_bytes;
  if (moves && !ending.hastened) ending.limit = limit_of_end(context);
  return context.services.host.now() >= ending.limit;
}

/// Has the step taken again for what the peers have not got yet. What a side waited for when the step looked
/// at it may have been delivered since.
void look_again(Ending& ending, const Context& context) {
  const TimePoint now = context.services.host.now();
  const Sides& sides = context.sides;
  const bool awaits =
      (sides.client && awaits_delivery(ending.client)) || (sides.backend && awaits_delivery(ending.backend));
  ending.left_bytes = bytes_left(sides);
  if (ending.left_bytes == 0) {
    ending.next_look = awaits ? now : TimePoint::max();
  } else if (now >= ending.next_look || ending.next_look == TimePoint::max()) {
    ending.pause = std::clamp(2 * ending.pause, kFirstLook, kLongestPause);
    ending.next_look = now + ending.pause;
  }
}

/// Closes a side whose peer does not take its last bytes. A peer that cannot see by TLS that they are missing
/// gets a reset.
void give_up(const SideEnd& end, std::unique_ptr<Stream>& stream, Side side) {
  if (!stream) return;
  if (!end.said && (side == Side::kBackend || !stream->is_tls())) stream->reset_on_close();
  stream.reset();
}

/// From now on no close of a socket that is to be reset can pass for an end in order.
void reset_at_any_close(Ending& ending, const Sides& sides) {
  if (std::exchange(ending.resets_set, true)) return;
  if (ending.client.farewell == Farewell::kReset && sides.client) sides.client->reset_on_close();
  if (ending.backend.farewell == Farewell::kReset && sides.backend) sides.backend->reset_on_close();
}

/// The end of a client that was refused before the relay: it gets time to read the reason, and is taken to be
/// writing its handshake.
std::unique_ptr<Ending> refusal(const Context& context) {
  auto ending = std::make_unique<Ending>();
  ending->client = {
      .farewell = Farewell::kCutShort, .open = SideEnd::Open::kUntilPeerEnds, .peer_writes = true};
  ending->limit = limit_of_end(context);
  return ending;
}

}  // namespace

Step step(Shutdown& phase, Context& context) {
  if (!phase.ending) phase.ending = refusal(context);
  Ending& ending = *phase.ending;
  Sides& sides = context.sides;
  if (is_too_late(ending, context)) {
    give_up(ending.client, sides.client, Side::kClient);
    give_up(ending.backend, sides.backend, Side::kBackend);
    return Close{phase.reason};
  }
  if (ending.rest != Side::kNone) {
    if (!deliver_rest(ending, context)) {
      look_again(ending, context);
      return ending.rest == Side::kClient ? Wait{.backend = Interest::kWrite}
                                          : Wait{.client = Interest::kWrite};
    }
    ending.rest = Side::kNone;
  }
  reset_at_any_close(ending, sides);
  Wait wait;
  const auto go_on_with = [&](SideEnd& end, std::unique_ptr<Stream>& stream, Interest& interest) {
    if (!stream) return;
    const auto wanted = go_on(end, *stream, context);
    if (!wanted) return stream.reset();
    interest = *wanted;
  };
  go_on_with(ending.client, sides.client, wait.client);
  go_on_with(ending.backend, sides.backend, wait.backend);
  if (!sides.client && !sides.backend) return Close{phase.reason};
  look_again(ending, context);
  return wait;
}

}  // namespace headgate
