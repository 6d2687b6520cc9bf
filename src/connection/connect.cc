#include <algorithm>

#include "connection/connection.h"
#include "connection/dial.h"
#include "connection/mysql_dial.h"
#include "connection/phase.h"
#include "connection/postgres_dial.h"
#include "connection/proxy_info.h"
#include "net/gather.h"
#include "net/starttls/backend_greeting.h"

namespace headgate {
namespace {

/// The end of a connection for which there is no server, or none any more.
Close end_without_server(const Dial& dial, Context& context, std::string_view why) {
  if (dial.told) return end_after_attempts(dial, context);
  if (dial.tried.empty()) context.info.detail = std::string(why);
  return Close{CloseReason::kNoBackend};
}

/// Counts a connection for which a server's name had no address.
void count_unresolved(const Dial& dial) {
  const auto& servers = dial.backend->picker->group().servers;
  for (std::size_t i = 0; i < servers.size(); ++i) {
    if (!servers[i].state->addresses()->empty()) continue;
    dial.backend->metrics[i]->connect_failures[static_cast<std::size_t>(ConnectFailure::kResolve)].add();
  }
}

/// The places of spares, and those that were given back a moment ago: their clients may be on their way to
/// them. Without spares the queue alone bounds how many wait.
std::size_t places_to_come(const Dial& dial, TimePoint now) {
  GroupPicker& picker = *dial.backend->picker;
  return picker.group().config.preconnect > 0 ? picker.places_to_come(dial.tried, now) : 0;
}

/// Every server is full, or others wait already: the connection waits, and then behind them.
std::optional<Step> wait_for_place(Dial& dial, Context& context) {
  if (dial.wait) {
    dial.wait->stays();
    return Wait{};
  }
  dial.wait = PlaceWait::begin(context.connection, context.services.host, *dial.backend,
                               places_to_come(dial, context.services.host.now()));
  if (!dial.wait) {
    const bool has_queue = dial.backend->picker->group().config.queue.size > 0;
    return end_without_server(dial, context, has_queue ? "queue_full" : name(NoServer::kAllFull));
  }
  dial.started = context.services.host.now();
  dial.stage = Dial::Stage::kQueued;
  return std::nullopt;
}

Step give_up_waiting(Dial& dial, Context& context) {
  dial.wait->ends(QueueEnd::kTimeout);
  dial.wait.reset();
  return end_without_server(dial, context, "queue_timeout");
}

/// Whether others wait for a place: this one may not overtake them.
bool others_wait(const Dial& dial) {
  const BackendGroup& group = dial.backend->picker->group();
  const bool may_wait = group.config.queue.size > 0 || group.config.preconnect > 0;
  return !dial.wait && may_wait && group.queue->has_waiting(group);
}

/// Whether a connection that finds every server full waits: in the queue, or for the place of a spare.
bool may_wait_for_place(const Dial& dial, TimePoint now) {
  return dial.backend->picker->group().config.queue.size > 0 || places_to_come(dial, now) > 0;
}

/// Picks a server and begins to connect. Nothing: it has begun, or the attempt or the stage is over.
std::optional<Step> pick(Dial& dial, Context& context) {
  if (dial.cancel) return pick_next_to_cancel(dial, context);
  const BackendGroup& group = dial.backend->picker->group();
  if (dial.attempts >= group.config.connect_attempts) return end_after_attempts(dial, context);
  if (others_wait(dial)) return wait_for_place(dial, context);
  const TimePoint now = context.services.host.now();
  auto choice = dial.backend->picker->pick(context.info.client.address(), dial.tried, now);
  if (!choice && choice.error() == NoServer::kAllFull && may_wait_for_place(dial, now))
    return wait_for_place(dial, context);
  if (dial.wait && choice) dial.wait->ends(QueueEnd::kServed);
  dial.wait.reset();
  if (!choice && choice.error() == NoServer::kUnresolved) count_unresolved(dial);
  if (!choice) return end_without_server(dial, context, name(choice.error()));
  begin_attempt(dial, context, *std::move(choice));
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
  cost.work = !context.listener.tls.empty() ? HandshakeWork::kFinish : HandshakeWork::kFull;
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

/// All of the introduction is with the kernel: then TLS begins where the backend has it, or is asked for.
std::optional<Wait> finish_introduction(Dial& dial, Context& context) {
  const IoStatus flushed = context.sides.backend->flush();
  if (flushed == IoStatus::kWantWrite) return Wait{.backend = Interest::kWrite};
  if (flushed != IoStatus::kDone) {
    stream_failed(dial, context);
    return std::nullopt;
  }
  if (is_mysql(dial, context)) {
    dial.stage = Dial::Stage::kMeeting;
    return std::nullopt;
  }
  if (!dial.backend->tls) {
    dial.stage = Dial::Stage::kAwaitingGreeting;
    return std::nullopt;
  }
  if (const auto& starttls = dial.backend->tls->shared().settings.starttls) {
    dial.upgrade = std::make_unique<StarttlsUpgrade>(*starttls);
    dial.stage = Dial::Stage::kAskingForTls;
    return std::nullopt;
  }
  await_permit(dial, context);
  return Wait{};
}

/// Counts the end of a server's plaintext dialogue without TLS.
void upgrade_failed(Dial& dial, Context& context) {
  const std::string why = dial.upgrade->why();
  switch (dial.upgrade->failure()) {
    case StarttlsUpgrade::Failure::kBroken:
      return attempt_failed(dial, context, failure_of(context.sides.backend->failure()), why);
    case StarttlsUpgrade::Failure::kRefused:
      return attempt_failed(dial, context, ConnectFailure::kStarttls, why);
    case StarttlsUpgrade::Failure::kPlaintext:
      return attempt_failed(dial, context, ConnectFailure::kPlaintext, why);
  }
}

/// Asks for TLS in the server's own protocol. Nothing: the attempt has failed.
std::optional<Wait> ask_for_tls(Dial& dial, Context& context) {
  switch (dial.upgrade->advance(*context.sides.backend, context.services.buffers.plaintext)) {
    case IoStatus::kWantRead:
      return Wait{.backend = Interest::kRead};
    case IoStatus::kWantWrite:
      return Wait{.backend = Interest::kWrite};
    case IoStatus::kDone:
      dial.upgrade.reset();
      await_permit(dial, context);
      return Wait{};
    case IoStatus::kPaused:
    case IoStatus::kEnded:
    case IoStatus::kFailed:
      break;
  }
  upgrade_failed(dial, context);
  return std::nullopt;
}

ServerRequest request_for(const Dial& dial, const ConnectionInfo& info) {
  const config::BackendTls& settings = dial.backend->tls->shared().settings;
  const ServerState& server = dial.choice->lease.server();
  ServerRequest request{.server = server.label(), .server_name = settings.server_name, .alpn = {}};
  if (request.server_name == "$sni") request.server_name = info.server_name.view();
  if (request.server_name.empty()) request.server_name = server.endpoint().name();
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
    case IoStatus::kFailed:
      break;
  }
  stream_failed(dial, context);
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

/// Greets the client of a server whose own greeting was read before TLS.
Step welcome(Dial& dial, Context& context) {
  if (auto wait = flush_to_client(context)) return *std::move(wait);
  const std::string_view words = starttls_welcome(*asked_in(dial));
  if (context.sides.client->write(std::as_bytes(std::span(words))) == IoStatus::kFailed)
    return Close{CloseReason::kClientLeftInHandshake};
  return Phase(relay_to(dial, context));
}

/// Drops the greeting of a server, because we have greeted its client already. Nothing: another attempt or
/// another stage follows.
std::optional<Step> await_greeting(Dial& dial, Context& context) {
  if (is_mysql(dial, context)) return begin_login(dial, context);
  if (dial.cancel) {
    dial.stage = Dial::Stage::kCancelling;
    return std::nullopt;
  }
  const std::optional<StarttlsProtocol> starttls = context.listener.policy->config.starttls;
  if (const auto asked = asked_in(dial)) {
    if (starttls || starttls_welcome(*asked).empty()) return relay_first_message(dial, context);
    dial.stage = Dial::Stage::kWelcoming;
    return std::nullopt;
  }
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
      return relay_first_message(dial, context);
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

/// From now on the log alone asks for what the client's PROXY header said.
void forget_what_was_told(ConnectionInfo& info) {
  std::unique_ptr<ProxiedFacts>& proxied = info.facts->proxied;
  proxied->to_pass_on.reset();
  if (proxied->link.empty() && proxied->unique_id.empty()) proxied.reset();
  if (proxied == nullptr && info.facts->ja4.empty()) info.facts.reset();
}

}  // namespace

std::optional<StarttlsProtocol> asked_in(const Dial& dial) {
  return dial.backend->tls ? dial.backend->tls->shared().settings.starttls : std::nullopt;
}

/// TLS costs a key exchange and the verification of the server, so it needs a permit,
/// as the client's handshake did.
void await_permit(Dial& dial, Context& context) {
  dial.stage = Dial::Stage::kAwaitingPermit;
  ask_for_permit(dial, context, {});
}

std::optional<Step> flush_to_client(Context& context) {
  Stream& client = *context.sides.client;
  if (client.unsent_bytes() == 0) return std::nullopt;
  const IoStatus flushed = client.flush();
  if (flushed == IoStatus::kWantWrite) return Wait{.client = Interest::kWrite};
  if (flushed != IoStatus::kDone) return Close{CloseReason::kClientLeftInHandshake};
  return std::nullopt;
}

Relay relay_to(Dial& dial, Context& context) {
  const TimePoint now = context.services.host.now();
  ServerMetrics& metrics = *dial.backend->metrics[dial.choice->index];
  dial.backend->picker->on_connected(dial.choice->lease, dial.choice->address, now);
  metrics.connect_duration.observe(now - dial.started);
  context.info.detail.clear();
  if (context.info.peer) context.info.peer->certificate_der = std::string();  // no header will carry it
  if (context.info.proxied() != nullptr) forget_what_was_told(context.info);
  Relay relay;
  relay.server = ServerUse(std::move(dial.choice->lease), metrics);
  relay.last_byte = now;
  return relay;
}

std::optional<Step> take_stages(Dial& dial, Context& context) {
  if (std::exchange(dial.attempt_timed_out, false)) {
    if (dial.stage == Dial::Stage::kQueued) return give_up_waiting(dial, context);
    if (dial.stage == Dial::Stage::kCancelling)
      server_is_through(dial, context);
    else if (dial.stage != Dial::Stage::kPick)
      attempt_failed(dial, context, ConnectFailure::kTimeout, "not connected within connect_timeout");
  }
  for (;;) {
    switch (dial.stage) {
      case Dial::Stage::kHearingFirst:
        if (auto next = hear_first(dial, context)) return next;
        break;
      case Dial::Stage::kPick:
        if (auto next = pick(dial, context)) return next;
        break;
      case Dial::Stage::kQueued:
        if (!dial.wait->may_try()) return Wait{};
        if (auto next = pick(dial, context)) return next;
        break;
      case Dial::Stage::kConnecting:
        if (const auto wait = await_connection(dial, context)) return *wait;
        break;
      case Dial::Stage::kIntroducing:
        if (const auto wait = finish_introduction(dial, context)) return *wait;
        break;
      case Dial::Stage::kAskingForTls:
        if (const auto wait = ask_for_tls(dial, context)) return *wait;
        break;
      case Dial::Stage::kAwaitingPermit:
        if (const auto wait = begin_tls(dial, context)) return *wait;
        break;
      case Dial::Stage::kSecuring:
        if (auto next = secure(dial, context)) return next;
        break;
      case Dial::Stage::kAwaitingSignature:
        if (auto next = await_signature(dial, context)) return next;
        break;
      case Dial::Stage::kAwaitingGreeting:
        if (auto next = await_greeting(dial, context)) return next;
        break;
      case Dial::Stage::kWelcoming:
        return welcome(dial, context);
      case Dial::Stage::kCancelling:
        if (const auto wait = deliver_cancel(dial, context)) return *wait;
        break;
      case Dial::Stage::kMeeting:
        if (const auto wait = meet(dial, context)) return *wait;
        break;
      case Dial::Stage::kMet:
        if (dial.early) return std::nullopt;
        if (auto next = pass_greeting_on(dial, context)) return next;
        break;
      case Dial::Stage::kHearingClient:
        if (auto next = hear_client(dial, context)) return next;
        break;
      case Dial::Stage::kRequestingTls:
        if (auto next = request_tls(dial, context)) return next;
        break;
      case Dial::Stage::kLogin:
        return pass_login_on(dial, context);
    }
  }
}

std::unique_ptr<Dial> dial_to(std::string_view backend, Context& context) {
  const auto found = context.snapshot.backends.find(backend);
  if (found == context.snapshot.backends.end()) return nullptr;
  context.info.backend = InternedString(found->first);
  auto dial = std::make_unique<Dial>();
  dial->backend = &found->second;
  return dial;
}

Step step(Connect& phase, Context& context) {
  return *take_stages(*phase.dial, context);
}

Step connect_to(std::string_view backend, Context& context) {
  auto dial = context.sides.backend != nullptr ? take_up(context) : dial_to(backend, context);
  if (!dial) return Close{CloseReason::kNoRoute};
  if (dial->stage == Dial::Stage::kPick && must_hear_first(*dial, context))
    dial->stage = Dial::Stage::kHearingFirst;
  return Phase(Connect{.dial = std::move(dial)});
}

}  // namespace headgate
