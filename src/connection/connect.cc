#include <cerrno>

#include "connection/connection.h"
#include "connection/gather.h"
#include "connection/phase.h"
#include "connection/proxy_info.h"
#include "net/socket.h"
#include "net/starttls/backend_greeting.h"

namespace headgate {
namespace {

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

CloseReason reason_of(ConnectFailure failure) {
  switch (failure) {
    case ConnectFailure::kTimeout:
      return CloseReason::kBackendConnectTimeout;
    case ConnectFailure::kTls:
      return CloseReason::kBackendHandshakeFailed;
    default:
      return CloseReason::kBackendConnectFailed;
  }
}

/// Counts the attempt at hand as failed; the loop of step() tries another server next.
void attempt_failed(Dial& dial, Context& context, ConnectFailure failure, std::string what) {
  dial.backend->picker->on_failed(dial.choice->lease, dial.choice->address, context.services.host.now());
  dial.backend->metrics[dial.choice->index]->connect_failures[static_cast<std::size_t>(failure)].add();
  context.info.detail = dial.choice->lease.server().label() + ": " + std::move(what);
  dial.tried.push_back({dial.choice->index, dial.choice->address});
  dial.choice.reset();
  dial.last_failure = failure;
  dial.greeting.clear();
  context.connection.forget_backend();
  dial.request.reset();
  dial.handshake.reset();
  dial.operation.reset();
  dial.stage = Dial::Stage::kPick;
  context.sides.backend.reset();
}

std::optional<Close> pick(Dial& dial, Context& context) {
  const BackendGroup& group = dial.backend->picker->group();
  if (dial.attempts >= group.config.connect_attempts) return Close{reason_of(dial.last_failure)};
  const TimePoint now = context.services.host.now();
  auto choice = dial.backend->picker->pick(context.info.client.address(), dial.tried, now);
  if (!choice) {
    if (dial.attempts > 0) return Close{reason_of(dial.last_failure)};
    context.info.detail = std::string(name(choice.error()));
    return Close{CloseReason::kNoBackend};
  }
  ++dial.attempts;
  dial.choice = std::move(*choice);
  dial.started = now;
  dial.attempt_timed_out = false;
  context.info.server = InternedString(group.servers[dial.choice->index].config.address);
  auto stream = context.services.transport.dial(dial.choice->address);
  if (!stream) {
    const StreamFailure failure = failure_of_errno("connect", stream.error());
    attempt_failed(dial, context, failure_of(failure), failure.what);
    return std::nullopt;
  }
  context.sides.backend = std::move(*stream);
  dial.stage = Dial::Stage::kConnecting;
  return std::nullopt;
}

/// Tells the server, now that it is connected, for which client we speak.
void introduce(Dial& dial, Context& context) {
  const config::Backend& backend = dial.backend->picker->group().config;
  if (backend.send_proxy != config::SendProxy::kNone) {
    const auto header = proxy_header_for(backend, context.info, context.sides.client->descriptor());
    context.sides.backend->write(header);
  }
  dial.stage = Dial::Stage::kIntroducing;
}

/// Queues the handshake with the server for CPU time. The client's own handshake, if there was one, has been
/// permitted: then this one is its continuation.
void ask_for_permit(Dial& dial, Context& context, HandshakeCost cost) {
  cost.work = context.listener.tls != nullptr ? HandshakeWork::kFinish : HandshakeWork::kFull;
  dial.request = std::make_unique<HeldRequest>(
      context.services.permits, context.connection, *context.listener.policy->counters,
      context.info.client.network(), "Headgate had no CPU time for TLS to the backend within 1.5 s");
  dial.asked = context.services.host.now();
  dial.request->ask(cost);
}

/// Whether the permit is there. The time in the queue does not count against the server.
bool is_permitted(Dial& dial, Context& context) {
  if (!dial.request->granted) return false;
  dial.request.reset();
  dial.started += context.services.host.now() - dial.asked;
  return true;
}

/// All of the introduction is with the kernel: then TLS begins where the backend has it. It costs a key
/// exchange and the verification of the server, so it needs a permit, as the client's handshake did.
std::optional<Wait> finish_introduction(Dial& dial, Context& context) {
  const IoStatus flushed = context.sides.backend->flush();
  if (flushed == IoStatus::kWantWrite) return Wait{.backend = Interest::kWrite};
  if (flushed != IoStatus::kDone) {
    const StreamFailure failure = context.sides.backend->failure();
    attempt_failed(dial, context, failure_of(failure), failure.what);
    return std::nullopt;
  }
  if (!dial.backend->tls) {
    dial.stage = Dial::Stage::kAwaitingGreeting;
    return std::nullopt;
  }
  dial.stage = Dial::Stage::kAwaitingPermit;
  ask_for_permit(dial, context, {});
  return Wait{};
}

ServerRequest request_for(const Dial& dial, const ConnectionInfo& info) {
  const config::BackendTls& settings = dial.backend->tls->shared().settings;
  const ServerState& server = dial.choice->lease.server();
  ServerRequest request{.server = server.label(), .server_name = settings.server_name, .alpn = {}};
  if (request.server_name == "$sni") request.server_name = info.server_name.view();
  if (request.server_name.empty()) request.server_name = server.endpoint().host;
  for (const auto& protocol : settings.alpn) {
    if (protocol != "$alpn") {
      request.alpn.push_back(protocol);
    } else if (!info.alpn.empty()) {
      request.alpn.emplace_back(info.alpn.view());
    }
  }
  return request;
}

std::optional<Wait> begin_tls(Dial& dial, Context& context) {
  if (!is_permitted(dial, context)) return Wait{};
  auto begun = context.services.handshakes.connect(std::move(context.sides.backend), dial.backend->tls,
                                                   request_for(dial, context.info));
  if (!begun) {
    attempt_failed(dial, context, ConnectFailure::kTls, begun.error().what);
    return std::nullopt;
  }
  dial.handshake = *std::move(begun);
  dial.stage = Dial::Stage::kSecuring;
  return std::nullopt;
}

/// Of a signature with the key of our client certificate; nullptr: nothing is known of it.
HandshakeCost signature_cost(const StoredCertificate* certificate) {
  HandshakeCost cost{.offloaded = true};
  if (certificate == nullptr) return cost;
  cost.key = certificate->key_type();
  cost.key_bits = static_cast<std::uint16_t>(certificate->key_bits());
  return cost;
}

/// While a permit or the operation is awaited, the server still has to get the bytes that it has not got.
Wait until_server_writable(const ClientHandshake& handshake) {
  return {.backend = interest_if(handshake.has_unsent(), Interest::kWrite)};
}

/// Takes no step, because a permit or the operation is awaited, but sends the unsent bytes. Nothing: the
/// attempt has failed.
std::optional<Step> flush_to_server(Dial& dial, Context& context) {
  ClientHandshake& handshake = *dial.handshake;
  if (!handshake.has_unsent()) return Wait{};
  ClientHandshake::Answer answer = handshake.flush();
  if (std::holds_alternative<ClientHandshake::Wait>(answer)) return until_server_writable(handshake);
  attempt_failed(dial, context, ConnectFailure::kTls, std::get<ClientHandshake::Failed>(answer).what);
  return std::nullopt;
}

/// Takes a step of the handshake with the server. Nothing: the stage is over, one way or the other.
std::optional<Step> secure(Dial& dial, Context& context) {
  ClientHandshake::Answer answer = dial.handshake->step();
  if (const auto* wait = std::get_if<ClientHandshake::Wait>(&answer)) {
    return Wait{.backend =
                    interest_if(wait->read, Interest::kRead) | interest_if(wait->write, Interest::kWrite)};
  }
  if (auto* offload = std::get_if<ClientHandshake::Offload>(&answer)) {
    dial.operation = std::move(offload->operation);
    dial.stage = Dial::Stage::kAwaitingSignature;
    ask_for_permit(dial, context, signature_cost(dial.backend->tls->shared().certificate.get()));
    return until_server_writable(*dial.handshake);
  }
  if (auto* secured = std::get_if<ClientHandshake::Secured>(&answer)) {
    context.sides.backend = std::move(secured->stream);
    dial.handshake.reset();
    dial.stage = Dial::Stage::kAwaitingGreeting;
    return std::nullopt;
  }
  attempt_failed(dial, context, ConnectFailure::kTls, std::get<ClientHandshake::Failed>(answer).what);
  return std::nullopt;
}

/// Waits until the socket is connected. Nothing: the stage is over, with or without success.
std::optional<Wait> await_connection(Dial& dial, Context& context) {
  switch (context.sides.backend->handshake()) {
    case IoStatus::kWantRead:
      return Wait{.backend = Interest::kRead};
    case IoStatus::kWantWrite:
      return Wait{.backend = Interest::kWrite};
    case IoStatus::kDone:
      introduce(dial, context);
      return std::nullopt;
    case IoStatus::kPaused:
    case IoStatus::kEnded:
    case IoStatus::kFailed: {
      const StreamFailure failure = context.sides.backend->failure();
      attempt_failed(dial, context, failure_of(failure), failure.what);
      return std::nullopt;
    }
  }
  return std::nullopt;
}

/// The server wants a signature by our client certificate, whose key is used on another thread.
std::optional<Step> await_signature(Dial& dial, Context& context) {
  if (dial.request != nullptr) {
    if (!is_permitted(dial, context)) return flush_to_server(dial, context);
    return Offload{.operation = dial.operation, .wait = until_server_writable(*dial.handshake)};
  }
  if (!dial.operation->is_finished()) return flush_to_server(dial, context);
  dial.operation.reset();
  dial.stage = Dial::Stage::kSecuring;
  return std::nullopt;
}

Relay relay_to(Dial& dial, Context& context) {
  const TimePoint now = context.services.host.now();
  ServerMetrics& metrics = *dial.backend->metrics[dial.choice->index];
  dial.backend->picker->on_connected(dial.choice->lease, dial.choice->address);
  metrics.connect_duration.observe(now - dial.started);
  context.info.detail.clear();
  Relay relay;
  relay.server = ServerUse(std::move(dial.choice->lease), metrics);
  relay.last_byte = now;
  return relay;
}

/// Drops the greeting of a server, because we have greeted its client already. Nothing: another attempt
/// follows.
std::optional<Step> await_greeting(Dial& dial, Context& context) {
  const std::optional<StarttlsProtocol> starttls = context.listener.policy->config.starttls;
  if (!starttls) return Phase(relay_to(dial, context));
  for (;;) {
    const auto verdict = BackendGreeting::read(*starttls, dial.greeting);
    if (verdict.state == BackendGreeting::State::kDone) {
      dial.greeting.erase(dial.greeting.begin(),
                          dial.greeting.begin() + static_cast<std::ptrdiff_t>(verdict.drop_bytes));
      if (!dial.greeting.empty()) {
        context.sides.backend =
            context.services.transport.unread(std::move(context.sides.backend), std::move(dial.greeting));
      }
      return Phase(relay_to(dial, context));
    }
    IoStatus status = IoStatus::kFailed;
    if (verdict.state == BackendGreeting::State::kNeedMore) {
      status = gather(*context.sides.backend, dial.greeting, context.services.buffers.plaintext,
                      kMaxStarttlsInputBytes + 1);
    }
    if (status == IoStatus::kWantRead) return Wait{.backend = Interest::kRead};
    if (status != IoStatus::kDone) {
      attempt_failed(dial, context, ConnectFailure::kOther, "no greeting of the listener's protocol");
      return std::nullopt;
    }
  }
}

}  // namespace

Step step(Connect& phase, Context& context) {
  Dial& dial = *phase.dial;
  if (std::exchange(dial.attempt_timed_out, false) && dial.stage != Dial::Stage::kPick) {
    attempt_failed(dial, context, ConnectFailure::kTimeout, "not connected within connect_timeout");
  }
  for (;;) {
    switch (dial.stage) {
      case Dial::Stage::kPick:
        if (const auto close = pick(dial, context)) return *close;
        break;
      case Dial::Stage::kConnecting:
        if (const auto wait = await_connection(dial, context)) return *wait;
        break;
      case Dial::Stage::kIntroducing:
        if (const auto wait = finish_introduction(dial, context)) return *wait;
        break;
      case Dial::Stage::kAwaitingPermit:
        if (const auto wait = begin_tls(dial, context)) return *wait;
        break;
      case Dial::Stage::kSecuring:
        if (auto next = secure(dial, context)) return *std::move(next);
        break;
      case Dial::Stage::kAwaitingSignature:
        if (auto next = await_signature(dial, context)) return *std::move(next);
        break;
      case Dial::Stage::kAwaitingGreeting:
        if (auto next = await_greeting(dial, context)) return *std::move(next);
        break;
    }
  }
}

Step connect_to(std::string_view backend, Context& context) {
  const auto found = context.snapshot.backends.find(backend);
  if (found == context.snapshot.backends.end()) return Close{CloseReason::kNoRoute};
  context.info.backend = InternedString(found->first);
  auto dial = std::make_unique<Dial>();
  dial->backend = &found->second;
  return Phase(Connect{.dial = std::move(dial)});
}

}  // namespace headgate
