#include "connection/ending.h"

#include <algorithm>
#include <utility>

#include "net/socket.h"
#include "net/starttls/unavailable.h"

namespace headgate {
namespace {

CloseReason reason_of_break(const Stream& stream, Side side) {
  const bool client = side == Side::kClient;
  switch (stream.failure().kind) {
    case FailureKind::kReset:
    case FailureKind::kTimedOut:
      return client ? CloseReason::kClientReset : CloseReason::kBackendReset;
    case FailureKind::kTruncated:
      return client ? CloseReason::kClientTruncated : CloseReason::kBackendTruncated;
    case FailureKind::kPeerAlert:
    case FailureKind::kProtocol:
      return client ? CloseReason::kClientProtocolError : CloseReason::kBackendProtocolError;
    case FailureKind::kFlood:
      return client ? CloseReason::kClientFlood : CloseReason::kBackendFlood;
    case FailureKind::kNone:
    case FailureKind::kSystem:
      return CloseReason::kInternal;
  }
  return CloseReason::kInternal;
}

/// A client may still be sending: closing its descriptor over unread bytes would reset the connection, and
/// the reset would destroy what we have sent last. A backend is left as soon as it has everything.
SideEnd::Open stays_open(Side side, Farewell farewell, bool peer_has_ended) {
  const bool may_send = side == Side::kClient && farewell != Farewell::kReset && !peer_has_ended;
  return may_send ? SideEnd::Open::kUntilPeerEnds : SideEnd::Open::kUntilDelivered;
}

/// The end of a side that has not broken. A direction that has ended in order stays ended in order.
SideEnd end_of_side(const Stream& stream, Side side, const EndRow& how, const Flow& to_side,
                    const Flow& from_side) {
  const PeerKind kind = peer_kind(stream, side);
  SideEnd end{.farewell = how.farewell(kind), .alert = how.alert};
  if (to_side.ended) end.farewell = row(EndCause::kOtherEnded).farewell(kind);
  if (to_side.finished) end.farewell = Farewell::kNothing;
  end.open = how.cause == EndCause::kAtRest ? SideEnd::Open::kUntilSaid
                                            : stays_open(side, end.farewell, from_side.ended);
  return end;
}

/// The end of the side that broke. A peer that broke the protocol still gets the alert which says so.
SideEnd end_of_broken_side(const Stream& stream, Side side) {
  const FailureKind failure = stream.failure().kind;
  if (failure != FailureKind::kProtocol && failure != FailureKind::kFlood) return {};
  return {.farewell = Farewell::kCutShort, .open = stays_open(side, Farewell::kCutShort, false)};
}

Shutdown begin(const Context& context, CloseReason reason, std::string_view began_in) {
  auto ending = std::make_unique<Ending>();
  ending->began_in = began_in;
  ending->limit = limit_of_end(context);
  // A client that takes little must not draw its end out by that.
  ending->hastened = reason == CloseReason::kSlowReader;
  return {.reason = reason, .ending = std::move(ending)};
}

Shutdown end_relay(Relay& relay, const Context& context, CloseReason reason, EndCause cause) {
  Shutdown shutdown = begin(context, reason, "relay");
  Ending& ending = *shutdown.ending;
  ending.server = std::move(relay.server);
  const EndRow& how = row(cause);
  ending.client = end_of_side(*context.sides.client, Side::kClient, how, relay.to_client, relay.to_backend);
  ending.backend =
      end_of_side(*context.sides.backend, Side::kBackend, how, relay.to_backend, relay.to_client);
  return shutdown;
}

/// Lets the client hear from its own protocol why it is not served, where that protocol lets us speak.
void say_unavailable(Context& context) {
  const auto protocol = context.listener.policy->config.starttls;
  Stream& client = *context.sides.client;
  if (!protocol || !client.is_tls() || client.unsent_bytes() > 0) return;
  const std::string words = starttls_unavailable(*protocol);
  static_cast<void>(client.write(std::as_bytes(std::span(words))));
}

/// Ends a client that has no backend yet.
Shutdown end_client(EndCause cause, CloseReason reason, std::string_view began_in, Context& context) {
  Shutdown shutdown = begin(context, reason, began_in);
  if (cause == EndCause::kUnreachable) say_unavailable(context);
  context.sides.backend.reset();
  shutdown.ending->client = end_of_side(*context.sides.client, Side::kClient, row(cause), {}, {});
  return shutdown;
}

}  // namespace

Phase end_broken(Relay& relay, Context& context, Side broken) {
  const bool client = broken == Side::kClient;
  const Stream& stream = client ? *context.sides.client : *context.sides.backend;
  context.info.detail = stream.failure().what;
  context.info.alert = static_cast<std::int16_t>(stream.failure().alert);
  Shutdown shutdown = end_relay(relay, context, reason_of_break(stream, broken), EndCause::kOtherBrokeOff);
  Ending& ending = *shutdown.ending;
  (client ? ending.client : ending.backend) = end_of_broken_side(stream, broken);
  if (!(client ? relay.to_backend : relay.to_client).ended) ending.rest = broken;
  return shutdown;
}

Phase end_cut_short(Relay& relay, Context& context) {
  Shutdown shutdown = end_relay(relay, context, CloseReason::kBackendTruncated, EndCause::kBackendCutShort);
  if (!relay.to_backend.ended) shutdown.ending->backend.farewell = Farewell::kReset;
  return shutdown;
}

std::optional<Phase> end_for(EndCause cause, CloseReason reason, Phase& phase, Context& context) {
  if (auto* relay = std::get_if<Relay>(&phase)) {
    Shutdown shutdown = end_relay(*relay, context, reason, cause);
    const SideEnd& client = shutdown.ending->client;
    if (client.farewell == Farewell::kAlert) context.info.alert = static_cast<std::int16_t>(client.alert);
    return shutdown;
  }
  const bool has_client = std::holds_alternative<Authorize>(phase) ||
                          std::holds_alternative<FindRoute>(phase) || std::holds_alternative<Connect>(phase);
  if (!has_client) return std::nullopt;
  Shutdown shutdown = end_client(cause, reason, name(phase), context);
  const SideEnd& client = shutdown.ending->client;
  if (client.farewell == Farewell::kAlert) context.info.alert = static_cast<std::int16_t>(client.alert);
  return shutdown;
}

Phase end_in_order(CloseReason reason, Context& context) {
  return end_client(EndCause::kOtherEnded, reason, "connect", context);
}

TimePoint limit_of_end(const Context& context) {
  return context.services.host.now() + context.listener.policy->config.timeouts.shutdown;
}

std::size_t bytes_left(const Sides& sides) {
  std::size_t left = 0;
  for (const Stream* side : {sides.client.get(), sides.backend.get()}) {
    if (side != nullptr) left += side->unsent_bytes() + undelivered_bytes(side->descriptor());
  }
  return left;
}

void hasten(Shutdown& phase, const Context& context) {
  if (!phase.ending || std::exchange(phase.ending->hastened, true)) return;
  Ending& ending = *phase.ending;
  ending.limit = std::min(ending.limit, limit_of_end(context));
  for (SideEnd* side : {&ending.client, &ending.backend})
    side->open = std::min(side->open, SideEnd::Open::kUntilDelivered);
}

}  // namespace headgate
