#include "connection/postgres_dial.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "connection/connection.h"
#include "connection/dial.h"
#include "connection/ending.h"
#include "net/starttls/postgres_packet.h"

namespace headgate {
namespace {

// More than a record of TLS. What a client says in one piece with its first message goes to the server in one
// write.
constexpr std::size_t kFirstReadBytes = std::size_t{32} * 1024;

bool speaks_postgres(const Dial& dial, const Context& context) {
  return context.listener.policy->config.starttls == StarttlsProtocol::kPostgres ||
         asked_in(dial) == StarttlsProtocol::kPostgres;
}

void add_targets(BackendState& backend, bool up, std::vector<CancelRound::Target>& targets) {
  const auto& servers = backend.picker->group().servers;
  for (std::size_t index = 0; index < servers.size(); ++index) {
    if (servers[index].state->is_up() != up) continue;
    for (const ResolvedAddress& one : *servers[index].state->addresses())
      targets.push_back({.backend = &backend, .index = index, .address = one.address});
  }
}

/// A server that is down may take the whole connect_timeout, so those that are up come before it. A server of
/// weight 0 gets no new session, but it may have old ones.
std::unique_ptr<CancelRound> round_of(std::span<const std::byte> request,
                                      const std::vector<BackendState*>& backends) {
  auto round = std::make_unique<CancelRound>();
  round->request.assign(request.begin(), request.end());
  for (const bool up : {true, false}) {
    for (BackendState* backend : backends) add_targets(*backend, up, round->targets);
  }
  return round;
}

void count(CancelResult result, Context& context) {
  context.listener.metrics->postgres_cancels[static_cast<std::size_t>(result)].add();
}

/// Every server has had its turn.
Step end_round(const Dial& dial, Context& context) {
  const CancelRound& round = *dial.cancel;
  if (round.delivered > 0) {
    count(CancelResult::kDelivered, context);
    context.info.detail = "a cancel request, delivered to " + std::to_string(round.delivered) + " of " +
                          std::to_string(round.targets.size()) + " addresses";
    return end_in_order(CloseReason::kFinished, context);
  }
  count(CancelResult::kFailed, context);
  if (dial.told) return end_after_attempts(dial, context);
  if (round.targets.empty()) context.info.detail = std::string(name(NoServer::kUnresolved));
  return Close{CloseReason::kNoBackend};
}

/// The backends to which a listener's clients are routed after TLS.
std::vector<BackendState*> backends_of(Context& context) {
  const config::Listener& listener = context.listener.policy->config;
  std::set<std::string> names{listener.backend};
  for (const config::Route& route : listener.routes) {
    if (!route.passthrough) names.insert(route.backend);
  }
  std::vector<BackendState*> backends;
  for (auto& [name, backend] : context.snapshot.backends) {
    if (names.contains(name)) backends.push_back(&backend);
  }
  return backends;
}

bool needs_client_certificates(const ListenerTls& tls) {
  return std::ranges::any_of(tls.rules, [](const ClientRules& rules) {
    return rules.settings.mode == config::ClientAuthMode::kRequired && !rules.only_count;
  });
}

}  // namespace

bool must_hear_first(const Dial& dial, const Context& context) {
  if (!speaks_postgres(dial, context)) return false;
  const BackendGroup& group = dial.backend->picker->group();
  const Server& first = group.servers.front();
  return group.servers.size() > 1 || first.config.max_connections > 0 || group.config.health_check ||
         first.state->addresses()->size() > 1;
}

std::optional<Step> hear_first(Dial& dial, Context& context) {
  for (;;) {
    const postgres::FirstMessage first = postgres::read_first_message(dial.client_said);
    if (first.kind == postgres::FirstMessage::Kind::kCancel)
      dial.cancel = round_of(std::span(dial.client_said).first(first.size_bytes), {dial.backend});
    if (first.kind != postgres::FirstMessage::Kind::kNeedMore) {
      dial.stage = Dial::Stage::kPick;
      return std::nullopt;
    }
    const auto room = std::span(context.services.buffers.plaintext).first(kFirstReadBytes);
    const ReadResult got = context.sides.client->read(room);
    if (got.status == IoStatus::kWantRead) return Wait{.client = Interest::kRead};
    if (got.status == IoStatus::kEnded) return end_in_order(CloseReason::kStarttlsEnded, context);
    if (got.status != IoStatus::kDone) return Close{CloseReason::kClientLeftInHandshake};
    const auto bytes = room.first(got.size_bytes);
    dial.client_said.insert(dial.client_said.end(), bytes.begin(), bytes.end());
  }
}

std::optional<Step> pick_next_to_cancel(Dial& dial, Context& context) {
  CancelRound& round = *dial.cancel;
  if (round.next == round.targets.size()) return end_round(dial, context);
  const CancelRound::Target& target = round.targets[round.next++];
  round.sent = false;
  dial.backend = target.backend;
  begin_attempt(dial, context,
                {target.index, target.address, target.backend->picker->lease_beside(target.index)});
  return std::nullopt;
}

// A server closes the connection when it has acted on the request, in whatever way.
std::optional<Wait> deliver_cancel(Dial& dial, Context& context) {
  Stream& server = *context.sides.backend;
  const bool sent = std::exchange(dial.cancel->sent, true);
  const IoStatus status = sent ? server.flush() : server.write(dial.cancel->request);
  if (status == IoStatus::kWantWrite) return Wait{.backend = Interest::kWrite};
  if (status == IoStatus::kFailed) {
    stream_failed(dial, context);
    return std::nullopt;
  }
  const ReadResult got = server.read(context.services.buffers.plaintext);
  // One read at a time: a server that sends without a pause does not keep the loop.
  if (got.status == IoStatus::kDone) context.services.host.call_again(context.connection);
  if (got.status == IoStatus::kWantRead || got.status == IoStatus::kDone)
    return Wait{.backend = Interest::kRead};
  server_is_through(dial, context);
  return std::nullopt;
}

void server_is_through(Dial& dial, Context& context) {
  dial.backend->picker->on_connected(dial.choice->lease, dial.choice->address, context.services.host.now());
  ++dial.cancel->delivered;
  dial.choice.reset();
  context.connection.forget_backend();
  context.sides.backend.reset();
  dial.stage = Dial::Stage::kPick;
}

Step cancel_in_plaintext(std::span<const std::byte> request, Context& context) {
  const auto& tls = context.listener.policy->tls;
  if (tls && needs_client_certificates(*tls)) {
    count(CancelResult::kRefused, context);
    context.info.detail = "a cancel request without TLS, where clients need a certificate";
    return Phase(Shutdown{CloseReason::kStarttlsEnded});
  }
  auto dial = std::make_unique<Dial>();
  dial->cancel = round_of(request, backends_of(context));
  return Phase(Connect{.dial = std::move(dial)});
}

Step relay_first_message(Dial& dial, Context& context) {
  const std::vector<std::byte> said = std::exchange(dial.client_said, {});
  Relay relay = relay_to(dial, context);
  context.info.bytes_from_client += said.size();
  context.listener.metrics->bytes[static_cast<std::size_t>(Direction::kFromClient)].add(said.size());
  if (!said.empty() && context.sides.backend->write(said) == IoStatus::kFailed)
    return end_broken(relay, context, Side::kBackend);
  return Phase(std::move(relay));
}

}  // namespace headgate
