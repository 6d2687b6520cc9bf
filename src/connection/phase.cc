#include "connection/phase.h"

#include <algorithm>
#include <array>

#include "connection/mysql_dial.h"

namespace headgate {
namespace {

template <class... Case>
struct Cases : Case... {
  using Case::operator()...;
};

/// TimePoint::max(): no lifetime is set.
TimePoint lifetime_end(const ConnectionInfo& info, const config::Timeouts& timeouts) {
  return timeouts.lifetime.count() > 0 ? info.accepted + timeouts.lifetime : TimePoint::max();
}

/// When a connection in relay times out, if no byte comes until then.
TimePoint relay_deadline(const Relay& relay, const ConnectionInfo& info, const config::Timeouts& timeouts) {
  TimePoint due = relay.last_byte + timeouts.idle;
  if (relay.half_closed != TimePoint{}) {
    due = std::min(due, std::max(relay.half_closed, relay.last_byte) + timeouts.half_close);
  }
  return std::min(due, lifetime_end(info, timeouts));
}

std::optional<CloseReason> relay_timed_out(const Relay& relay, const Context& context, TimePoint now) {
  const config::Listener& listener = context.listener.policy->config;
  const config::Timeouts& timeouts = listener.timeouts;
  const ConnectionInfo& info = context.info;
  if (now < relay_deadline(relay, info, timeouts)) {
    const bool is_slow = relay.reader->is_missed(*context.sides.client, info.bytes_to_client,
                                                 listener.limits.read_bytes_per_second, now);
    return is_slow ? std::optional(CloseReason::kSlowReader) : std::nullopt;
  }
  if (lifetime_end(info, timeouts) <= now) return CloseReason::kLifetime;
  return relay.half_closed != TimePoint{} ? CloseReason::kHalfCloseTimeout : CloseReason::kIdleTimeout;
}

// Half of the default timeouts.handshake. Several segments of an honest client may be lost in that time, one
// after the other (RFC 6298).
constexpr Duration kHelloGrace = std::chrono::seconds(5);

/// When a ClientHello of which so much has come is too slow. Every byte gives its client more time.
TimePoint hello_deadline(const Hello& hello, std::uint32_t bytes_per_second) {
  if (hello.began == TimePoint{} || bytes_per_second == 0) return TimePoint::max();
  const auto bytes = static_cast<Duration::rep>(hello.received.size());
  const Duration paid = bytes * Duration(std::chrono::seconds(1)) / bytes_per_second;
  return hello.began + std::max(kHelloGrace, paid);
}

/// The dial of a phase that reaches a server before its client's TLS. Null: it has none.
Dial* early_dial(const StarttlsIn& phase, const Context& context) {
  const ServerDialogue* dialogue = server_dialogue(phase, context);
  return dialogue != nullptr ? dialogue->dial() : nullptr;
}

/// Whether it is the client that the dial waits for.
bool awaits_client(const Dial& dial) {
  return dial.stage == Dial::Stage::kHearingFirst || dial.stage == Dial::Stage::kWelcoming ||
         dial.stage == Dial::Stage::kMet || dial.stage == Dial::Stage::kHearingClient;
}

/// The time that a dial has until its next step, as a point of the clock.
TimePoint dial_deadline(const Dial& dial, const Context& context) {
  const config::Timeouts& timeouts = context.listener.policy->config.timeouts;
  // The queue has a bound of its own, and its time is not the server's.
  if (dial.request != nullptr) return TimePoint::max();
  if (dial.stage == Dial::Stage::kQueued)
    return dial.started + dial.backend->picker->group().config.queue.timeout;
  if (dial.stage == Dial::Stage::kLogin)
    return std::min(dial.started + timeouts.idle, lifetime_end(context.info, timeouts));
  if (awaits_client(dial)) return context.info.accepted + timeouts.handshake;
  return dial.started + dial.backend->picker->group().config.connect_timeout;
}

/// Returns the end for a dial whose deadline has passed. Nothing: the attempt at hand has failed.
std::optional<CloseReason> dial_timed_out(Dial& dial, const Context& context, TimePoint now) {
  if (dial.stage == Dial::Stage::kLogin) {
    const bool too_old = lifetime_end(context.info, context.listener.policy->config.timeouts) <= now;
    return too_old ? CloseReason::kLifetime : CloseReason::kIdleTimeout;
  }
  if (awaits_client(dial)) return CloseReason::kHandshakeTimeout;
  dial.attempt_timed_out = true;
  return std::nullopt;
}

/// Returns the end for a dial whose client has no time left for its handshake. While a server is awaited that
/// is no fault of the client's, and must not count as one. Nothing: the step goes on, and tells the client.
std::optional<CloseReason> early_dial_too_late(Dial& dial, const Context& context) {
  if (awaits_client(dial)) return CloseReason::kHandshakeTimeout;
  dial.attempt_timed_out = dial.stage == Dial::Stage::kQueued;
  if (dial.attempt_timed_out) return std::nullopt;
  context.info.detail = "no server was reached within timeouts.handshake";
  return CloseReason::kBackendConnectTimeout;
}

std::optional<CloseReason> starttls_timed_out(StarttlsIn& starttls, const Context& context, TimePoint now) {
  Dial* dial = early_dial(starttls, context);
  if (dial == nullptr) return CloseReason::kHandshakeTimeout;
  const bool late = context.info.accepted + context.listener.policy->config.timeouts.handshake <= now;
  return late ? early_dial_too_late(*dial, context) : dial_timed_out(*dial, context, now);
}

}  // namespace

std::string_view name(const Phase& phase) {
  static constexpr std::array<std::string_view, std::variant_size_v<Phase>> kNames{
      "accept",    "proxy_in", "starttls_in", "hello", "handshake",
      "authorize", "route",    "connect",     "relay", "shutdown"};
  return kNames[phase.index()];
}

PhaseDescriptors descriptors(const Phase& phase) {
  if (const auto* handshake = std::get_if<Handshake>(&phase))
    return {.client = handshake->task->handshake->descriptor()};
  const auto* connect = std::get_if<Connect>(&phase);
  if (connect != nullptr && connect->dial->handshake != nullptr)
    return {.backend = connect->dial->handshake->descriptor()};
  return {};
}

Step await_more(const std::vector<std::byte>& received, HeldInput& held, Context& context, Wait wait) {
  if (received.capacity() == 0 ||
      held.hold(context.services.unfinished, context.connection, received.capacity()))
    return wait;
  context.info.detail = kUnfinishedHelloShed;
  return Close{CloseReason::kHandshakeShed};
}

TimePoint deadline(const Phase& phase, const Context& context) {
  const config::Timeouts& timeouts = context.listener.policy->config.timeouts;
  const config::Limits& limits = context.listener.policy->config.limits;
  const TimePoint handshake = context.info.accepted + timeouts.handshake;
  return std::visit(Cases{[&](const Connect& connect) { return dial_deadline(*connect.dial, context); },
                          [&](const StarttlsIn& starttls) {
                            const Dial* dial = early_dial(starttls, context);
                            return dial == nullptr ? handshake
                                                   : std::min(handshake, dial_deadline(*dial, context));
                          },
                          [&](const Hello& hello) {
                            return std::min(handshake, hello_deadline(hello, limits.hello_bytes_per_second));
                          },
                          [&](const Relay& relay) {
                            const TimePoint due = relay_deadline(relay, context.info, timeouts);
                            return relay.reader ? std::min(due, relay.reader->next_look()) : due;
                          },
                          [&](const Shutdown& shutdown) {
                            return std::min(shutdown.ending->limit, shutdown.ending->next_look);
                          },
                          [&](const auto&) { return handshake; }},
                    phase);
}

std::optional<CloseReason> timed_out(Phase& phase, const Context& context, TimePoint now) {
  const config::Timeouts& timeouts = context.listener.policy->config.timeouts;
  using Answer = std::optional<CloseReason>;
  return std::visit(
      Cases{[&](Connect& connect) -> Answer { return dial_timed_out(*connect.dial, context, now); },
            [&](StarttlsIn& starttls) -> Answer { return starttls_timed_out(starttls, context, now); },
            [&](const Hello&) -> Answer {
              const bool late = context.info.accepted + timeouts.handshake <= now;
              return late ? CloseReason::kHandshakeTimeout : CloseReason::kSlowHello;
            },
            [&](const Relay& relay) -> Answer { return relay_timed_out(relay, context, now); },
            [&](const Shutdown&) -> Answer { return std::nullopt; },
            [&](const auto&) -> Answer { return CloseReason::kHandshakeTimeout; }},
      phase);
}

}  // namespace headgate
