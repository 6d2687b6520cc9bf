#include "worker/moving_connections.h"

#include <algorithm>
#include <utility>

#include "net/plain_stream.h"
#include "tls/record_stream.h"

namespace headgate {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

std::vector<std::byte> copy_of(std::span<const std::byte> bytes) {
  return {bytes.begin(), bytes.end()};
}

HandoverSide side_of(const PlainStream& stream) {
  HandoverSide side;
  side.received = copy_of(stream.received());
  side.unsent = copy_of(stream.unsent());
  return side;
}

HandoverSide side_of(const RecordStream& stream) {
  RecordStreamState state = stream.state();
  HandoverSide side;
  side.layer = HandoverLayer::kTls13;
  side.sending = std::move(state.sending);
  side.receiving = std::move(state.receiving);
  side.received = std::move(state.received);
  side.unsent = std::move(state.unsent);
  return side;
}

HandoverSide side_of(const Stream& stream) {
  if (const auto* records = dynamic_cast<const RecordStream*>(&stream)) return side_of(*records);
  return side_of(dynamic_cast<const PlainStream&>(stream));
}

/// Why the connection stays; empty: it can move.
std::string reason_to_stay(Connection& connection) {
  const auto* relay = std::get_if<Relay>(&connection.phase());
  if (relay == nullptr || connection.is_buried()) return "phase";
  if (relay->to_backend.ended || relay->to_client.ended) return "ending";
  const Sides& sides = connection.sides();
  if (dynamic_cast<const PlainStream*>(sides.backend.get()) == nullptr) return "backend_tls";
  if (dynamic_cast<const PlainStream*>(sides.client.get()) != nullptr) return "";
  const auto* records = dynamic_cast<const RecordStream*>(sides.client.get());
  if (records == nullptr) return "record_layer";
  return records->is_movable() ? "" : "key_update";
}

HandoverConnection message_of(Connection& connection, TimePoint now) {
  const Facts& facts = connection.facts();
  HandoverConnection message;
  message.listener = connection.listener().policy->config.name;
  message.client_address = facts.client.address().text();
  message.server_name = facts.server_name.view();
  message.alpn = facts.alpn.view();
  message.tls_version = facts.tls->version.view();
  message.group = facts.tls->group.view();
  message.cipher = facts.tls->cipher.view();
  message.key_type = facts.tls->key_type.view();
  message.resumed = facts.tls->resumed;
  message.probe = facts.probe;
  if (facts.peer) message.peer = std::make_unique<PeerIdentity>(*facts.peer);
  message.backend = facts.backend.view();
  message.server = facts.server.view();
  message.bytes_from_client = facts.bytes_from_client;
  message.bytes_to_client = facts.bytes_to_client;
  message.age = duration_cast<milliseconds>(now - facts.accepted);
  message.quiet = duration_cast<milliseconds>(now - std::get<Relay>(connection.phase()).last_byte);
  message.client_side = side_of(*connection.sides().client);
  message.backend_side = side_of(*connection.sides().backend);
  return message;
}

std::unique_ptr<Stream> stream_of(HandoverSide side, TlsRole role, Fd socket, Worker& worker) {
  if (side.layer == HandoverLayer::kPlain) {
    return std::make_unique<PlainStream>(std::move(socket), std::move(side.received), std::move(side.unsent));
  }
  RecordStreamState state{.socket = std::move(socket),
                          .role = role,
                          .sending = std::move(side.sending),
                          .receiving = std::move(side.receiving),
                          .received = std::move(side.received),
                          .unsent = std::move(side.unsent)};
  return std::make_unique<RecordStream>(std::move(state), worker.services().buffers,
                                        worker.transport().aead());
}

Facts facts_of(HandoverConnection& connection, Worker& worker, TimePoint now) {
  Facts facts;
  facts.id = worker.new_connection_id();
  if (const auto address = Address::parse(connection.client_address)) facts.client = SourceAddress(*address);
  facts.accepted = now - connection.age;
  facts.bytes_from_client = connection.bytes_from_client;
  facts.bytes_to_client = connection.bytes_to_client;
  facts.server_name = connection.server_name;
  facts.alpn = connection.alpn;
  facts.tls = worker.transport().known_tls_facts().find_or_add({.version = Word(connection.tls_version),
                                                                .group = Word(connection.group),
                                                                .cipher = Word(connection.cipher),
                                                                .key_type = Word(connection.key_type),
                                                                .resumed = connection.resumed});
  const bool tls = connection.client_side.layer == HandoverLayer::kTls13;
  facts.layer = tls ? RecordsBy::kHeadgate : RecordsBy::kNobody;
  facts.peer = std::move(connection.peer);
  facts.probe = connection.probe;
  return facts;
}

/// The place of the server called `label` in the group; its size where there is none.
std::size_t place_of(const BackendGroup& group, const std::string& label) {
  const auto found = std::ranges::find_if(
      group.servers, [&](const Server& server) { return server.config.address == label; });
  return static_cast<std::size_t>(found - group.servers.begin());
}

/// The rules for its peer may have changed while it rested, when nothing could end it.
void wake(Worker& worker, Connection& connection) {
  worker.judge_soon(connection);
  connection.wake();
}

/// Those that rest, collected before any of them is touched.
std::vector<Connection*> resting(Worker& worker) {
  std::vector<Connection*> all;
  for (const auto& connection : worker.connections()) {
    if (connection->is_resting() && !connection->is_buried()) all.push_back(connection.get());
  }
  return all;
}

}  // namespace

Resting rest_all(Worker& worker) {
  Resting resting;
  const TimePoint now = Clock::now();
  for (const auto& connection : worker.connections()) {
    if (const std::string reason = reason_to_stay(*connection); !reason.empty()) {
      ++resting.left[reason];
      continue;
    }
    connection->rest();
    const Sides& sides = connection->sides();
    resting.moving.push_back({.id = connection->facts().id,
                              .message = encode(message_of(*connection, now)),
                              .descriptors = {sides.client->descriptor(), sides.backend->descriptor()}});
  }
  return resting;
}

void wake(Worker& worker, const std::set<std::uint64_t>& ids) {
  for (Connection* connection : resting(worker)) {
    if (ids.contains(connection->facts().id)) wake(worker, *connection);
  }
}

void wake_all(Worker& worker) {
  for (Connection* connection : resting(worker)) wake(worker, *connection);
}

void let_go_of_resting(Worker& worker) {
  for (Connection* connection : resting(worker)) connection->let_go();
}

Result<void> can_take_in(const Snapshot& snapshot, const HandoverConnection& connection) {
  const auto& listeners = snapshot.config.listeners;
  if (std::ranges::none_of(listeners, [&](const auto& one) { return one.name == connection.listener; })) {
    return fail(ErrorKind::kNotFound, "there is no listener " + connection.listener);
  }
  const auto backend = snapshot.backends.find(connection.backend);
  if (backend == snapshot.backends.end()) {
    return fail(ErrorKind::kNotFound, "there is no backend " + connection.backend);
  }
  const BackendGroup& group = *backend->second.group;
  if (place_of(group, connection.server) == group.servers.size()) {
    return fail(ErrorKind::kNotFound,
                "backend " + connection.backend + " has no server " + connection.server);
  }
  return {};
}

void take_in(Worker& worker, HandoverConnection connection, Fd client, Fd backend) {
  const std::shared_ptr<WorkerSnapshot>& snapshot = worker.snapshot();
  ListenerState& listener = *snapshot->find_listener(connection.listener);
  const auto found = snapshot->backends.find(connection.backend);
  BackendState& state = found->second;
  const std::size_t place = place_of(state.picker->group(), connection.server);
  const TimePoint now = Clock::now();

  Facts facts = facts_of(connection, worker, now);
  facts.backend = Word(found->first);
  facts.server = Word(state.picker->group().servers[place].config.address);
  Relay relay;
  relay.server = ServerUse(state.picker->adopt(connection.server), *state.metrics[place]);
  relay.last_byte = now - connection.quiet;
  Sides sides{
      .client = stream_of(std::move(connection.client_side), TlsRole::kServer, std::move(client), worker),
      .backend = stream_of(std::move(connection.backend_side), TlsRole::kClient, std::move(backend), worker)};
  const auto host = facts.client.host();
  const config::Limits& limits = listener.policy->config.limits;
  const bool limited = limits.max_connections > 0 || limits.max_connections_per_source > 0;
  auto taken = std::make_unique<Connection>(worker.services(), snapshot, listener, std::move(sides),
                                            std::move(facts), std::move(relay));
  if (limited && !listener.policy->tally->enter(limits, host)) {
    taken->take_place(std::make_unique<ListenerPlace>(listener.policy->tally, host));
  }
  worker.judge_soon(*taken);  // the rules here may be newer than those that let its peer in
  taken->rest();
  worker.add(std::move(taken));
}

}  // namespace headgate
