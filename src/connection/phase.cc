#include "connection/phase.h"

#include <algorithm>
#include <array>

namespace headgate {
namespace {

template <class... Case>
struct Cases : Case... {
  using Case::operator()...;
};

TimePoint relay_deadline(const Relay& relay, const ConnectionInfo& info, const config::Timeouts& timeouts) {
  TimePoint due = relay.last_byte + timeouts.idle;
  if (relay.half_closed != TimePoint{}) {
    due = std::min(due, std::max(relay.half_closed, relay.last_byte) + timeouts.half_close);
  }
  if (timeouts.lifetime.count() > 0) due = std::min(due, info.accepted + timeouts.lifetime);
  return due;
}

CloseReason relay_timed_out(const Relay& relay, const ConnectionInfo& info, const config::Timeouts& timeouts,
                            TimePoint now) {
  if (timeouts.lifetime.count() > 0 && info.accepted + timeouts.lifetime <= now)
    return CloseReason::kLifetime;
  return relay.half_closed != TimePoint{} ? CloseReason::kHalfCloseTimeout : CloseReason::kIdleTimeout;
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
  const TimePoint handshake = context.info.accepted + timeouts.handshake;
  return std::visit(Cases{[&](const Connect& connect) {
                            // The queue has a bound of its own, and its time is not the server's.
                            if (connect.dial->request != nullptr) return TimePoint::max();
                            return connect.dial->started +
                                   connect.dial->backend->picker->group().config.connect_timeout;
                          },
                          [&](const Relay& relay) { return relay_deadline(relay, context.info, timeouts); },
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
      Cases{[&](Connect& connect) -> Answer {
              connect.dial->attempt_timed_out = true;
              return std::nullopt;
            },
            [&](const Relay& relay) -> Answer { return relay_timed_out(relay, context.info, timeouts, now); },
            [&](const Shutdown&) -> Answer { return std::nullopt; },
            [&](const auto&) -> Answer { return CloseReason::kHandshakeTimeout; }},
      phase);
}

}  // namespace headgate
