#include <algorithm>
#include <cerrno>

#include "base/check.h"
#include "connection/connection.h"
#include "connection/dial.h"
#include "connection/dial_ends.h"
#include "connection/phase.h"
#include "net/socket.h"

namespace headgate {
namespace {

/// Why a connect did not even begin.
ConnectFailure failure_to_begin(const StreamFailure& failure, const OwnEnd& from) {
  const bool is_ours = failure.error == EADDRNOTAVAIL || failure.error == EPERM || failure.error == EACCES ||
                       failure.error == EINVAL;
  if (from.address && is_ours) return ConnectFailure::kSource;
  const bool lacks_something = is_shortage(failure.error) || failure.error == EADDRNOTAVAIL;
  return lacks_something ? ConnectFailure::kShortage : failure_of(failure);
}

/// The end of a connection whose attempt failed so.
CloseReason reason_of(ConnectFailure failure) {
  switch (failure) {
    case ConnectFailure::kTimeout:
      return CloseReason::kBackendConnectTimeout;
    case ConnectFailure::kTls:
      return CloseReason::kBackendHandshakeFailed;
    case ConnectFailure::kStarttls:
      return CloseReason::kBackendStarttlsFailed;
    case ConnectFailure::kPlaintext:
      return CloseReason::kBackendPlaintext;
    default:
      return CloseReason::kBackendConnectFailed;
  }
}

/// Passes over a server that this client cannot be connected with. It is no failure of the server.
void pass_over(Dial& dial, Context& context, std::string why) {
  if (!dial.told) context.info.detail = dial.choice->lease.server().label() + ": " + std::move(why);
  dial.tried.push_back({dial.choice->index, dial.choice->address});
  dial.choice.reset();
  dial.stage = Dial::Stage::kPick;
}

/// The server of the attempt at hand, for the operator.
std::string server_of(const Dial& dial, const Context& context) {
  const ServerState& server = dial.choice->lease.server();
  if (!server.endpoint().is_original()) return server.label();
  return server.label() + " (" + local_address(context.sides.client->descriptor()).text() + ')';
}

/// Whether the attempt has come to TLS, or beyond.
bool has_come_to_tls(const Dial& dial) {
  switch (dial.stage) {
    case Dial::Stage::kAwaitingPermit:
    case Dial::Stage::kSecuring:
    case Dial::Stage::kAwaitingSignature:
    case Dial::Stage::kAwaitingGreeting:
      return dial.backend->tls != nullptr;
    default:
      return false;
  }
}

/// Whether the attempt may have failed by this machine, or by the address from which it was made. Nothing
/// goes out from it, or the server's answers to a client's address go another way than through this machine.
bool may_be_our_ends_doing(const Dial& dial, ConnectFailure failure) {
  if (failure == ConnectFailure::kSource || failure == ConnectFailure::kShortage) return true;
  if (dial.stage != Dial::Stage::kConnecting) return false;
  const bool is_clients = dial.backend->picker->group().config.source == config::kClientSource;
  return is_clients && (failure == ConnectFailure::kTimeout || failure == ConnectFailure::kUnreachable);
}

/// Whether the client may have made the attempt fail, by its address, or by a name or a protocol that the
/// server gets from it: such a client could take a healthy server away from all others.
bool may_be_the_clients_doing(const Dial& dial, const ConnectionInfo& info, ConnectFailure failure) {
  if (may_be_our_ends_doing(dial, failure)) return true;
  if (!has_come_to_tls(dial)) return false;
  const config::BackendTls& settings = dial.backend->tls->shared().settings;
  const bool name = settings.server_name == "$sni" && !info.server_name.empty();
  const bool protocol =
      !info.alpn.empty() && std::ranges::find(settings.alpn, "$alpn") != settings.alpn.end();
  return name || protocol;
}

/// Begins to connect to the server of the attempt at hand.
void dial_server(Dial& dial, Context& context, const DialEnds& ends) {
  Services& services = context.services;
  auto stream = services.transport.dial(ends.server, ends.own);
  if (!stream && is_out_of_descriptors(stream.error()) && give_up_descriptors(services))
    stream = services.transport.dial(ends.server, ends.own);
  if (!stream) {
    const std::string doing = ends.own.address ? "connect from " + ends.own.address->host_text() : "connect";
    const StreamFailure failure = failure_of_errno(doing, stream.error());
    return attempt_failed(dial, context, failure_to_begin(failure, ends.own), failure.what);
  }
  context.sides.backend = std::move(*stream);
}

/// Drops the stream to the server, and all that was said on it.
void forget_server(Dial& dial, Context& context) {
  dial.greeting.clear();
  dial.upgrade.reset();
  dial.requested = false;
  context.connection.forget_backend();
  dial.request.reset();
  dial.handshake.reset();
  dial.operation.reset();
  context.sides.backend.reset();
}

/// A server may listen on one family of its name's addresses only, as one of `localhost` often does. Then the
/// other family is still part of the attempt: where it is a name of several servers, no other attempt may be
/// left. With `source` there is one family to connect from.
bool goes_on_with_other_family(Dial& dial, ConnectFailure failure, TimePoint now) {
  const bool was_refused = failure == ConnectFailure::kRefused || failure == ConnectFailure::kUnreachable;
  if (dial.stage != Dial::Stage::kConnecting || !was_refused || dial.cancel) return false;
  GroupPicker& picker = *dial.backend->picker;
  return picker.group().config.source.empty() && picker.turn_to_other_family(*dial.choice, dial.tried, now);
}

Dial::Reached reached_by(const Dial& dial) {
  if (dial.stage == Dial::Stage::kConnecting) return Dial::Reached::kNothing;
  return has_come_to_tls(dial) ? Dial::Reached::kTls : Dial::Reached::kServer;
}

/// Keeps the failure of the attempt at hand, unless an earlier one came further.
void tell_of(Dial& dial, Context& context, ConnectFailure failure, std::string what) {
  const Dial::Reached reached = reached_by(dial);
  if (dial.told && dial.told->reached > reached) return;
  context.info.detail = server_of(dial, context) + ": " + std::move(what);
  dial.told = {.failure = failure, .reached = reached, .server = context.info.server};
}

/// The server may have ended the spare connection just when a client got it, which is no failure of the
/// server's.
void connect_in_place_of_spare(Dial& dial, Context& context) {
  forget_server(dial, context);
  dial.started = context.services.host.now();
  dial.stage = Dial::Stage::kConnecting;
  dial_server(dial, context, dial_ends(dial.backend->picker->group(), *dial.choice, context));
}

}  // namespace

ConnectFailure failure_of(const StreamFailure& failure) {
  switch (failure.error) {
    case ECONNREFUSED:
    case ECONNRESET:
    case ENOENT:
      return ConnectFailure::kRefused;
    case ETIMEDOUT:
      return ConnectFailure::kTimeout;
    case EHOSTUNREACH:
    case ENETUNREACH:
      return ConnectFailure::kUnreachable;
    default:
      return ConnectFailure::kOther;
  }
}

Close end_after_attempts(const Dial& dial, Context& context) {
  HG_CHECK(dial.told.has_value());
  context.info.server = dial.told->server;
  return Close{reason_of(dial.told->failure)};
}

void begin_attempt(Dial& dial, Context& context, Choice choice) {
  const BackendGroup& group = dial.backend->picker->group();
  dial.choice = std::move(choice);
  context.info.server = InternedString(group.servers[dial.choice->index].config.address);
  DialEnds ends = dial_ends(group, *dial.choice, context);
  if (!ends.why_not.empty()) return pass_over(dial, context, std::move(ends.why_not));
  ++dial.attempts;
  dial.started = context.services.host.now();
  dial.attempt_timed_out = false;
  dial.stage = Dial::Stage::kConnecting;
  // A request to cancel has no place of its own, so it takes none of a spare's.
  if (!dial.cancel) context.sides.backend = context.services.spares.take(*dial.backend, *dial.choice);
  dial.has_spare = context.sides.backend != nullptr;
  if (!dial.has_spare) dial_server(dial, context, ends);
}

void attempt_failed(Dial& dial, Context& context, ConnectFailure failure, std::string what) {
  if (std::exchange(dial.has_spare, false) && failure != ConnectFailure::kTimeout)
    return connect_in_place_of_spare(dial, context);
  const TimePoint now = context.services.host.now();
  const Tried failed{dial.choice->index, dial.choice->address};
  const bool goes_on = goes_on_with_other_family(dial, failure, now);
  if (!goes_on && !may_be_the_clients_doing(dial, context.info, failure))
    dial.backend->picker->on_failed(dial.choice->lease, failed.address, now);
  dial.backend->metrics[dial.choice->index]->connect_failures[static_cast<std::size_t>(failure)].add();
  tell_of(dial, context, failure, std::move(what));
  dial.tried.push_back(failed);
  forget_server(dial, context);
  if (goes_on)
    return dial_server(dial, context, dial_ends(dial.backend->picker->group(), *dial.choice, context));
  dial.choice.reset();
  dial.stage = Dial::Stage::kPick;
}

void stream_failed(Dial& dial, Context& context) {
  const StreamFailure failure = context.sides.backend->failure();
  attempt_failed(dial, context, failure_of(failure), failure.what);
}

}  // namespace headgate
