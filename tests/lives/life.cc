#include "lives/life.h"

#include <fcntl.h>

#include <chrono>
#include <optional>
#include <utility>

#include "base/check.h"
#include "connection/connection.h"
#include "lives/model.h"
#include "lives/peer.h"
#include "net/plain_stream.h"
#include "tls/record/record_stream.h"
#include "unit/tls/which_library.h"

namespace headgate::lives {
namespace {

using namespace std::chrono_literals;

constexpr Duration kIdle = 4s, kHalfClose = 2s, kShutdown = 1s, kLifetime = 3s;
constexpr Duration kRest = 250ms;   // so long nothing came: the connection is at rest
constexpr Duration kStep = 200ms;   // of the clock
constexpr Duration kLongest = 20s;  // a life is over by then
constexpr int kMaxTurns = 400'000;  // of the loop, without a step of the clock

/// A worker without handshakes, whose clock the lives move.
class LifeHost final : public Host {
 public:
  TimePoint time = Clock::now() + 24h;  ///< So far ahead that no real timer fires.
  bool is_called_again = false, is_flush_due = false, has_turn = false;

  [[nodiscard]] TimePoint now() const override { return time; }
  void bury(Connection&) override {}
  void call_again(Connection&) override { is_called_again = true; }
  void call_in_turn(Connection&) override { has_turn = true; }
  void flush_soon(Connection&) override { is_flush_due = true; }
  void offload(Connection&, std::shared_ptr<PrivateKeyOperation>) override { HG_CHECK(false); }
  std::function<void()> waker(Connection&) override {
    return [] {};
  }
  void forget_waker(Connection&) override {}
  void client_let_in(Connection&) override {}
};

class NoHandshakes final : public Handshakes {
 public:
  [[nodiscard]] std::unique_ptr<ServerHandshake> accept(std::unique_ptr<Stream>, HandshakeStart) override {
    return nullptr;
  }
  [[nodiscard]] Result<std::unique_ptr<ClientHandshake>> connect(std::unique_ptr<Stream>,
                                                                 std::shared_ptr<ClientContext>,
                                                                 const ServerRequest&) override {
    return fail(ErrorKind::kInvalid, "no life connects");
  }
};

class NoPermits final : public Permits {
 public:
  void request(PermitRequest&) override {}
  void withdraw(PermitRequest&) override {}
  void learn(const HandshakeCost&, Duration) override {}
  void begin(HandshakePlace&, std::uint32_t) override {}
  void over(HandshakePlace&) override {}
};

class NoSpares final : public Spares {
 public:
  [[nodiscard]] std::unique_ptr<Stream> take(const BackendState&, const Choice&) override { return nullptr; }
  bool give_up_descriptors() override { return false; }
};

config::Config make_config() {
  config::Config config;
  for (const bool brief : {false, true}) {
    config::Listener listener;
    listener.name = brief ? "brief" : "web";
    listener.backend = "app";
    listener.timeouts.idle = std::chrono::duration_cast<std::chrono::milliseconds>(kIdle);
    listener.timeouts.half_close = std::chrono::duration_cast<std::chrono::milliseconds>(kHalfClose);
    listener.timeouts.shutdown = std::chrono::duration_cast<std::chrono::milliseconds>(kShutdown);
    if (brief) listener.timeouts.lifetime = std::chrono::duration_cast<std::chrono::milliseconds>(kLifetime);
    config.listeners.push_back(std::move(listener));
  }
  config::Backend backend;
  backend.name = "app";
  backend.servers.emplace_back().address = "127.0.0.1:1001";
  config.backends.emplace("app", std::move(backend));
  return config;
}

ConnectionInfo info_of(TimePoint accepted) {
  static const SourceAddress source(*Address::parse("192.0.2.7:4711"));
  ConnectionInfo info;
  info.id = 1;
  info.client = source;
  info.accepted = accepted;
  return info;
}

}  // namespace

/// In the order in which they must live.
struct World::Parts {
  Parts();
  std::unique_ptr<Connection> connect(const Script& script, Sides sides, ConnectionInfo info,
                                      TimePoint last_byte);

  Streams streams;
  Loop loop;
  Buffers buffers;
  SocketTransport transport;
  NoHandshakes handshakes;
  NoPermits permits;
  NoSpares spares;
  PipePool pipes;
  LifeHost host;
  Fd nowhere{::open("/dev/null", O_WRONLY | O_CLOEXEC)};
  std::unique_ptr<Log> log{
      *Log::open({.level = LogLevel::kError, .format = LogFormat::kText, .fd = nowhere.number()})};
  FailureLimiter limiter;
  FlightRecorder recorder;
  KnownTlsInfo known_tls;
  UnfinishedHellos unfinished{UnfinishedHellos::kMaxBytes};
  MetricsRegistry metrics;
  std::unique_ptr<LibraryContext> library{*LibraryContext::make()};
  ServerDirectory directory;
  std::shared_ptr<WorkerSnapshot> snapshot;
  std::optional<Services> services;
  std::map<std::string, std::uint64_t> rows;
};

World::Parts::Parts() {
  Diagnostics faults;
  auto shared = Snapshot::build(make_config(), {}, directory, std::chrono::system_clock::now(), faults);
  HG_CHECK(shared != nullptr);
  snapshot = *WorkerSnapshot::prepare(std::move(shared), 0, *library, nullptr, metrics);
  snapshot->adopt(nullptr, 1);
  services.emplace(Services{loop,
                            buffers,
                            transport,
                            handshakes,
                            permits,
                            host,
                            *log,
                            limiter,
                            recorder,
                            known_tls,
                            unfinished,
                            spares,
                            pipes,
                            config::AccessLog::kOff,
                            {}});
}

std::unique_ptr<Connection> World::Parts::connect(const Script& script, Sides sides, ConnectionInfo info,
                                                  TimePoint last_byte) {
  Relay relay;
  relay.last_byte = last_byte;
  ListenerState& listener = *snapshot->listeners[script.has_lifetime ? 1 : 0];
  return std::make_unique<Connection>(*services, snapshot, listener, std::move(sides), std::move(info),
                                      std::move(relay));
}

/// One life, while it lasts.
class World::Life {
 public:
  Life(Parts& world, const Script& script, Chance& sizes);

  /// Everything that happens, to the end; the differences.
  std::string run();

 private:
  void act(const Deed& deed);
  void act_of_peer(Peer& peer, const Deed& deed);
  void act_of_world(const Deed& deed);
  void pass(Duration time);
  void look_at_the_deadline();
  void settle();
  bool turn();
  bool flush_held_back();
  void collect();
  void end(Cause cause, CloseReason reason, std::uint8_t alert = 0);
  void revoke(std::uint32_t choice);
  void drain();
  void move();
  [[nodiscard]] bool can_move() const;
  [[nodiscard]] std::unique_ptr<Stream> moved(Stream& stream);
  void decide(Cause cause, std::uint8_t alert = 0);
  void note_timeout(const Relay& before, TimePoint accepted);
  [[nodiscard]] const Relay* relay() const {
    return connection_ != nullptr ? std::get_if<Relay>(&connection_->phase()) : nullptr;
  }
  [[nodiscard]] bool is_at_rest() const;
  [[nodiscard]] bool waits_for_what_is_there() const;
  [[nodiscard]] bool is_over() const;
  void watch_the_time();
  [[nodiscard]] Facts facts_of(const Peer& peer, const Peer& other, bool in_time) const;
  void compare(const Peer& peer, const Peer& other, bool in_time);
  void differ(std::string_view subject, const std::string& how);

  Parts& world_;
  const Script& script_;
  Chance& sizes_;
  Tcp client_tcp_, backend_tcp_;
  std::optional<Peer> client_, backend_;
  std::unique_ptr<Connection> connection_;
  TimePoint over_since_ = TimePoint::max();
  Cause cause_ = Cause::kPeers;
  bool was_stuck_ = false;  // when the cause arose, a peer did not read
  std::uint8_t alert_ = 0;
  std::uint64_t client_said_ = 0, backend_said_ = 0;  // when the cause arose, on the wire
  std::uint64_t from_client_ = 0, to_client_ = 0;
  bool client_in_time_ = true, backend_in_time_ = true;
  std::string differences_;
};

World::Life::Life(Parts& world, const Script& script, Chance& sizes)
    : world_(world), script_(script), sizes_(sizes) {
  auto client = world.streams.make(script.client.kind, TlsRole::kServer, client_tcp_, world.buffers, sizes);
  auto backend =
      world.streams.make(script.backend.kind, TlsRole::kClient, backend_tcp_, world.buffers, sizes);
  client_.emplace(Side::kClient, script.client.kind, client_tcp_, std::move(client.records));
  backend_.emplace(Side::kBackend, script.backend.kind, backend_tcp_, std::move(backend.records));
  client_tcp_.set(script.client.network);
  backend_tcp_.set(script.backend.network);
  world.host.is_called_again = world.host.has_turn = false;
  world.host.is_flush_due = client.stream->holds_back();
  connection_ =
      world.connect(script, {.client = std::move(client.stream), .backend = std::move(backend.stream)},
                    info_of(world.host.time), world.host.time);
  connection_->resume();
}

std::string World::Life::run() {
  if (!sizes_.once_in(4)) settle();
  for (const Deed& deed : script_.deeds) {
    act(deed);
    if (!deed.at_once) settle();
  }
  settle();
  if (!script_.client.never_returns) client_->set_reading(true);
  if (!script_.backend.never_returns) backend_->set_reading(true);
  settle();
  for (Duration waited{}; connection_ != nullptr && waited < kLongest; waited += kStep) pass(kStep);
  if (connection_ != nullptr) {
    differ("the connection", "it does not end, in " + std::string(name(connection_->phase())));
    connection_->end(CloseReason::kCut);
    connection_.reset();
  }
  settle();
  compare(*client_, *backend_, client_in_time_);
  compare(*backend_, *client_, backend_in_time_);
  return differences_;
}

void World::Life::act(const Deed& deed) {
  if (deed.side == Side::kNone) return act_of_world(deed);
  act_of_peer(deed.side == Side::kClient ? *client_ : *backend_, deed);
}

void World::Life::act_of_peer(Peer& peer, const Deed& deed) {
  switch (deed.act) {
    case Act::kSend:
      return peer.sends(deed.amount, sizes_);
    case Act::kEnd:
      return peer.ends();
    case Act::kNotify:
      return peer.notifies();
    case Act::kLeave:
      return peer.leaves();
    case Act::kTear:
      return peer.tears();
    case Act::kAlert:
      return peer.alerts(static_cast<std::uint8_t>(deed.amount));
    case Act::kGarble:
      return peer.garbles();
    case Act::kJunk:
      return peer.sends_junk(deed.amount, sizes_);
    case Act::kOdd:
      return peer.sends_odd(static_cast<std::uint8_t>(deed.amount), sizes_);
    case Act::kReset:
      return peer.resets();
    case Act::kClose:
      return peer.closes();
    case Act::kUpdateKeys:
      for (std::uint32_t i = 0; i < deed.amount; ++i) {
        peer.updates_keys(sizes_.below(2) == 0 ? KeyUpdateRequest::kRequested
                                               : KeyUpdateRequest::kNotRequested);
      }
      return;
    case Act::kStopReading:
      return peer.set_reading(false);
    case Act::kGoOnReading:
      return peer.set_reading(true);
    default:
      return;
  }
}

void World::Life::act_of_world(const Deed& deed) {
  switch (deed.act) {
    case Act::kPause:
      return pass(std::chrono::milliseconds(deed.amount));
    case Act::kDrain:
      return drain();
    case Act::kCut:
      return end(Cause::kCut, CloseReason::kCut);
    case Act::kRevoke:
      return revoke(deed.amount);
    case Act::kMove:
      return move();
    default:
      return;
  }
}

// As worker/draining.cc: in order while it is at rest, else as at the drain's deadline.
void World::Life::drain() {
  settle();
  if (!is_at_rest()) return end(Cause::kCut, CloseReason::kDrained);
  decide(Cause::kAtRest);
  connection_->end_at_rest(CloseReason::kDrained);
  collect();
}

void World::Life::end(Cause cause, CloseReason reason, std::uint8_t alert) {
  settle();
  if (relay() == nullptr) return;
  decide(cause, alert);
  connection_->end(reason);
  collect();
}

// RFC 8446, section 6.2: certificate_revoked, certificate_expired, access_denied.
void World::Life::revoke(std::uint32_t choice) {
  switch (choice) {
    case 0:
      return end(Cause::kShutOut, CloseReason::kClientRevoked, 44);
    case 1:
      return end(Cause::kShutOut, CloseReason::kClientExpired, 45);
    default:
      return end(Cause::kShutOut, CloseReason::kClientUntrusted, 49);
  }
}

/// The stream that another process makes of `stream`; nullptr: it cannot move.
std::unique_ptr<Stream> World::Life::moved(Stream& stream) {
  if (auto* plain = dynamic_cast<PlainStream*>(&stream)) {
    const auto received = plain->received(), unsent = plain->unsent();
    return std::make_unique<PlainStream>(plain->release_descriptor(),
                                         std::vector<std::byte>(received.begin(), received.end()),
                                         std::vector<std::byte>(unsent.begin(), unsent.end()));
  }
  auto& records = dynamic_cast<RecordStream&>(stream);
  return std::make_unique<RecordStream>(records.take_state(), world_.buffers, world_.streams.contexts());
}

// The same conditions as in worker/moving_connections.cc.
bool World::Life::can_move() const {
  if (relay() == nullptr || relay()->to_backend.ended || relay()->to_client.ended) return false;
  const Sides& sides = connection_->sides();
  if (dynamic_cast<const PlainStream*>(sides.backend.get()) == nullptr) return false;
  const auto* records = dynamic_cast<const RecordStream*>(sides.client.get());
  return records != nullptr ? records->is_movable()
                            : dynamic_cast<const PlainStream*>(sides.client.get()) != nullptr;
}

void World::Life::move() {
  settle();
  if (!can_move()) return;
  connection_->quiesce();
  const TimePoint last_byte = relay()->last_byte;
  Sides& before = connection_->sides();
  Sides sides{.client = moved(*before.client), .backend = moved(*before.backend)};
  ConnectionInfo info = info_of(connection_->info().accepted);
  info.bytes_from_client = connection_->info().bytes_from_client;
  info.bytes_to_client = connection_->info().bytes_to_client;
  auto taken = world_.connect(script_, std::move(sides), std::move(info), last_byte);
  connection_->release();
  connection_ = std::move(taken);
  connection_->resume();
}

void World::Life::pass(Duration time) {
  settle();
  watch_the_time();
  while (time > Duration{}) {
    const Duration step = std::min(time, kStep);
    time -= step;
    world_.host.time += step;
    set_coarse_clock(world_.host.time.time_since_epoch().count());
    if (connection_ != nullptr) {
      look_at_the_deadline();
    }
    settle();
    watch_the_time();
  }
}

void World::Life::look_at_the_deadline() {
  Relay before;
  const bool relayed = relay() != nullptr;
  if (relayed) {
    before.last_byte = relay()->last_byte;
    before.half_closed = relay()->half_closed;
  }
  const TimePoint accepted = connection_->info().accepted;
  connection_->deadline_passed();
  if (relayed && (relay() == nullptr || connection_->is_buried())) note_timeout(before, accepted);
  collect();
}

// Turns of the loop until nothing moves any more.
void World::Life::settle() {
  for (int turns = 0; turn(); ++turns) {
    if (turns > kMaxTurns) return differ("the connection", "it never comes to rest");
  }
  if (flush_held_back()) settle();
  if (waits_for_what_is_there()) differ("the connection", "it waits for what is there: the loop would spin");
}

bool World::Life::flush_held_back() {
  if (!std::exchange(world_.host.is_flush_due, false) || connection_ == nullptr) return false;
  connection_->flush_held_back();
  return true;
}

bool World::Life::turn() {
  const std::uint64_t before = client_tcp_.moves() + backend_tcp_.moves();
  client_tcp_.tick();
  backend_tcp_.tick();
  client_->read();
  backend_->read();
  client_tcp_.signal();
  backend_tcp_.signal();
  if (sizes_.once_in(2)) flush_held_back();  // what the turn brings may have come behind it
  const bool again = std::exchange(world_.host.is_called_again, false);
  if (again && connection_ != nullptr) connection_->resume();
  world_.loop.run_once();
  if (std::exchange(world_.host.has_turn, false) && connection_ != nullptr) connection_->take_turn();
  collect();
  return again || client_tcp_.moves() + backend_tcp_.moves() != before;
}

// What the worker does at the end of a turn.
void World::Life::collect() {
  if (connection_ == nullptr) return;
  from_client_ = connection_->info().bytes_from_client;
  to_client_ = connection_->info().bytes_to_client;
  if (!connection_->is_buried()) return;
  connection_.reset();
}

bool World::Life::is_at_rest() const {
  const Relay* now = relay();
  return now != nullptr && world_.host.time - now->last_byte >= kRest && connection_->is_delivered();
}

bool World::Life::waits_for_what_is_there() const {
  if (connection_ == nullptr) return false;
  const Wait wait = connection_->waiting();
  const auto is_there = [](Interest wanted, const Tcp& tcp) {
    return !tcp.is_closed() && ((includes(wanted, Interest::kRead) && tcp.is_readable()) ||
                                (includes(wanted, Interest::kWrite) && tcp.is_writable()));
  };
  return is_there(wait.client, client_tcp_) || is_there(wait.backend, backend_tcp_);
}

void World::Life::decide(Cause cause, std::uint8_t alert) {
  cause_ = cause;
  alert_ = alert;
  was_stuck_ = !client_->is_reading() || !backend_->is_reading();
  client_said_ = client_->raw_sent_bytes();
  backend_said_ = backend_->raw_sent_bytes();
}

// The connection has left its relay when a deadline had passed.
void World::Life::note_timeout(const Relay& before, TimePoint accepted) {
  const TimePoint now = world_.host.time;
  if (script_.has_lifetime && now - accepted >= kLifetime) return decide(Cause::kCut);
  const bool idle = now - before.last_byte >= kIdle;
  const bool half_closed =
      before.half_closed != TimePoint{} && now - std::max(before.half_closed, before.last_byte) >= kHalfClose;
  if (idle || half_closed) decide(Cause::kAtRest);
}

bool World::Life::is_over() const {
  const bool both = !client_->can_send() && !backend_->can_send();
  return cause_ != Cause::kPeers || both || client_->is_gone() || backend_->is_gone() ||
         backend_->told() == Told::kWithoutNotice;
}

// A peer that still does not read when timeouts.shutdown is nearly over may lose bytes.
void World::Life::watch_the_time() {
  if (!is_over()) return;
  over_since_ = std::min(over_since_, world_.host.time);
  if (world_.host.time - over_since_ < kShutdown - 2 * kStep) return;
  client_in_time_ = client_in_time_ && client_->is_reading();
  backend_in_time_ = backend_in_time_ && backend_->is_reading();
}

Facts World::Life::facts_of(const Peer& peer, const Peer& other, bool in_time) const {
  const bool client = peer.side() == Side::kClient;
  return {.side = peer.side(),
          .tls = is_tls(peer.kind()),
          .openssl = (peer.kind() == Kind::kTls12 || peer.kind() == Kind::kTls13) && !test::is_on_awslc(),
          .has_ended = peer.told() == Told::kInOrder,
          .gone = peer.is_gone() || (!client && peer.told() == Told::kWithoutNotice),
          .in_time = in_time && peer.is_reading(),
          .other = other.told(),
          .other_sent = other.arrived_bytes(),
          .taken = client ? to_client_ : from_client_,
          .was_stuck = was_stuck_,
          .spoke_late =
              cause_ != Cause::kPeers && peer.raw_sent_bytes() > (client ? client_said_ : backend_said_),
          .cause = cause_,
          .alert = alert_};
}

void World::Life::compare(const Peer& peer, const Peer& other, bool in_time) {
  const std::string_view subject = headgate::name(peer.side());
  const Facts facts = facts_of(peer, other, in_time);
  const Sight sight{.received = peer.received_bytes(), .seen = peer.seen(), .alert = peer.alert()};
  if (!peer.complaint().empty()) differ(subject, peer.complaint());
  if (const std::string how = difference(facts, sight); !how.empty()) differ(subject, how);
  if (is_held(facts)) ++world_.rows[row_of(facts)];
  if (is_held(facts) && !facts.spoke_late && peer.has_torn_record())
    differ(subject, "its last record is torn");
}

void World::Life::differ(std::string_view subject, const std::string& how) {
  differences_ += "  " + std::string(subject) + ": " + how + "\n";
}

const std::map<std::string, std::uint64_t>& World::rows() const {
  return parts_->rows;
}

World::World() : parts_(std::make_unique<Parts>()) {}
World::~World() = default;

std::string World::live(const Script& script, Chance& sizes) {
  return Life(*parts_, script, sizes).run();
}

}  // namespace headgate::lives
