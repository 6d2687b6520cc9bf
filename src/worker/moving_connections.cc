#include "worker/moving_connections.h"

#include <algorithm>
#include <utility>

#include "net/plain_stream.h"
#include "tls/record/record_stream.h"
#include "worker/clients_without_certificate.h"
#include "worker/listener_places.h"

namespace headgate {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

std::vector<std::byte> copy_of(std::span<const std::byte> bytes) {
  return {bytes.begin(), bytes.end()};
}

HandoverSide side_of(PlainStream& stream) {
  HandoverSide side;
  stream.leave_pipe();
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

HandoverSide side_of(Stream& stream) {
  if (PlainStream* plain = stream.plain()) return side_of(*plain);
  return side_of(dynamic_cast<const RecordStream&>(stream));
}

/// Returns why the connection stays; empty: it can move.
std::string reason_to_stay(Connection& connection) {
  const auto* relay = std::get_if<Relay>(&connection.phase());
  if (relay == nullptr || connection.is_buried()) return "phase";
  if (relay->to_backend.ended || relay->to_client.ended) return "ending";
  const Sides& sides = connection.sides();
  if (sides.backend->plain() == nullptr) return "backend_tls";
  if (sides.client->plain() != nullptr) return "";
  const auto* records = dynamic_cast<const RecordStream*>(sides.client.get());
  if (records == nullptr) return "record_layer";
  return records->is_movable() ? "" : "key_update";
}

HandoverConnection message_of(Connection& connection, TimePoint now) {
  const ConnectionInfo& info = connection.info();
  HandoverConnection message;
  message.listener = connection.listener().policy->config.name;
  message.client_address = info.client.address().text();
  message.server_name = info.server_name.view();
  message.alpn = info.alpn.view();
  message.ja4 = info.ja4();
  message.tls_version = info.tls->version.view();
  message.group = info.tls->group.view();
  message.cipher = info.tls->cipher.view();
  message.key_type = info.tls->key_type.view();
  message.resumed = info.tls->resumed;
  message.probe = info.probe;
  if (info.peer) message.peer = std::make_unique<PeerIdentity>(*info.peer);
  if (const ProxiedFacts* proxied = info.proxied()) {
    message.proxy_id = proxied->unique_id;
    message.aws_vpc_endpoint = proxied->link.aws_vpc_endpoint;
    message.azure_private_link = proxied->link.azure_private_link;
    message.gcp_psc_connection = proxied->link.gcp_psc_connection;
  }
  message.backend = info.backend.view();
  message.server = info.server.view();
  message.bytes_from_client = info.bytes_from_client;
  message.bytes_to_client = info.bytes_to_client;
  message.age = duration_cast<milliseconds>(now - info.accepted);
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
                                        worker.handshakes().aead());
}

std::unique_ptr<ProxiedFacts> proxied_facts_of(const HandoverConnection& connection) {
  ProxiedFacts facts{.link = {.aws_vpc_endpoint = connection.aws_vpc_endpoint,
                              .azure_private_link = connection.azure_private_link,
                              .gcp_psc_connection = connection.gcp_psc_connection},
                     .unique_id = connection.proxy_id,
                     .to_pass_on = nullptr};
  if (facts.link.empty() && facts.unique_id.empty()) return nullptr;
  return std::make_unique<ProxiedFacts>(std::move(facts));
}

std::unique_ptr<ClientFacts> client_facts_of(const HandoverConnection& connection) {
  auto facts = std::make_unique<ClientFacts>();
  facts->proxied = proxied_facts_of(connection);
  facts->ja4 = connection.ja4;
  return facts->proxied == nullptr && facts->ja4.empty() ? nullptr : std::move(facts);
}

ConnectionInfo facts_of(HandoverConnection& connection, Worker& worker, TimePoint now) {
  ConnectionInfo info;
  info.id = worker.new_connection_id();
  if (const auto address = Address::parse(connection.client_address)) info.client = SourceAddress(*address);
  info.accepted = now - connection.age;
  info.bytes_from_client = connection.bytes_from_client;
  info.bytes_to_client = connection.bytes_to_client;
  info.server_name = connection.server_name;
  info.alpn = connection.alpn;
  info.tls = worker.services().known_tls.find_or_add({.version = InternedString(connection.tls_version),
                                                      .group = InternedString(connection.group),
                                                      .cipher = InternedString(connection.cipher),
                                                      .key_type = InternedString(connection.key_type),
                                                      .resumed = connection.resumed});
  const bool tls = connection.client_side.layer == HandoverLayer::kTls13;
  info.protection = tls ? Protection::kHeadgate : Protection::kNone;
  info.peer = std::move(connection.peer);
  info.facts = client_facts_of(connection);
  info.probe = connection.probe;
  return info;
}

/// The place of the server called `label` in the group; the size of the group where it has no such server.
std::size_t place_of(const BackendGroup& group, const std::string& label) {
  const auto found = std::ranges::find_if(
      group.servers, [&](const Server& server) { return server.config.address == label; });
  return static_cast<std::size_t>(found - group.servers.begin());
}

/// The rules for its peer may have changed while it was quiescent, when no rule could end it.
void wake(Worker& worker, Connection& connection) {
  worker.evaluate_soon(connection);
  connection.wake();
}

/// Collects the quiescent connections before any of them is touched.
std::vector<Connection*> quiescent_connections(Worker& worker) {
  std::vector<Connection*> all;
  for (const auto& connection : worker.connections()) {
    if (connection->is_quiescent() && !connection->is_buried()) all.push_back(connection.get());
  }
  return all;
}

}  // namespace

QuiescentConnections quiesce_all(Worker& worker) {
  QuiescentConnections quiescent;
  const TimePoint now = Clock::now();
  for (const auto& connection : worker.connections()) {
    if (const std::string reason = reason_to_stay(*connection); !reason.empty()) {
      ++quiescent.left[reason];
      continue;
    }
    connection->quiesce();
    const Sides& sides = connection->sides();
    quiescent.moving.push_back({.id = connection->info().id,
                                .message = encode(message_of(*connection, now)),
                                .descriptors = {sides.client->descriptor(), sides.backend->descriptor()}});
  }
  return quiescent;
}

void wake(Worker& worker, const std::set<std::uint64_t>& ids) {
  for (Connection* connection : quiescent_connections(worker)) {
    if (ids.contains(connection->info().id)) wake(worker, *connection);
  }
}

void wake_all(Worker& worker) {
  for (Connection* connection : quiescent_connections(worker)) wake(worker, *connection);
  end_clients_without_certificate(worker);
}

void release_quiescent(Worker& worker) {
  for (Connection* connection : quiescent_connections(worker)) connection->release();
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

  ConnectionInfo info = facts_of(connection, worker, now);
  info.backend = InternedString(found->first);
  info.server = InternedString(state.picker->group().servers[place].config.address);
  Relay relay;
  relay.server = ServerUse(state.picker->adopt(connection.server), *state.metrics[place]);
  relay.last_byte = now - connection.quiet;
  Sides sides{
      .client = stream_of(std::move(connection.client_side), TlsRole::kServer, std::move(client), worker),
      .backend = stream_of(std::move(connection.backend_side), TlsRole::kClient, std::move(backend), worker)};
  auto taken = std::make_unique<Connection>(worker.services(), snapshot, listener, std::move(sides),
                                            std::move(info), std::move(relay));
  count_for_listener(*taken, *snapshot);
  worker.evaluate_soon(*taken);  // the rules here may be newer than the rules that let its peer in
  taken->quiesce();
  worker.add(std::move(taken));
}

}  // namespace headgate
