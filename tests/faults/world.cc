#include "faults/world.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <csignal>
#include <filesystem>
#include <future>
#include <map>

#include <openssl/ssl.h>

#include "base/check.h"
#include "net/socket.h"
#include "net/starttls/unavailable.h"

namespace headgate::test {
namespace {

using namespace std::chrono_literals;

constexpr Duration kPatience = 5min;  // the long sweep runs beside other work, at the lowest priority
constexpr std::chrono::milliseconds kLong = 10min;
// So few that a place which is not given back is missing soon.
constexpr std::uint32_t kMostConnections = 2;
// More than a worker's buffers take at once, so that records arrive in parts and peers are slow.
constexpr std::size_t kRequestBytes = 300'000;
constexpr std::string_view kSslRequest("\x00\x00\x00\x08\x04\xd2\x16\x2f", 8);

/// The certificates of this program, each made once: RSA keys take long.
const Issued& issued(const Wanted& wanted) {
  static std::map<std::string, Issued> made;
  static const Issued authority = issue({.common_name = "Faults CA", .ca = true});
  if (wanted.ca) return authority;
  const std::string name = wanted.common_name + " " + wanted.key;
  const auto found = made.find(name);
  return found != made.end() ? found->second : made.emplace(name, issue(wanted, &authority)).first->second;
}

/// The request of one life: no two have the same bytes at the same place.
std::string request_of(int life) {
  std::string text;
  while (text.size() < kRequestBytes)
    text += "life " + std::to_string(life) + " at " + std::to_string(text.size()) + ";";
  return text;
}

/// Pipes count as so many unless there are more: a worker keeps a few for its next flow, and the test's own
/// output may be one.
constexpr std::size_t kPipeEndsAtRest = 12;

std::size_t open_descriptors() {
  std::size_t pipe_ends = 0, others = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    const std::string target = std::filesystem::read_symlink(entry.path(), gone).string();
    ++(target.starts_with("pipe:") ? pipe_ends : others);
  }
  return others + std::max(pipe_ends, kPipeEndsAtRest);
}

SslCtxPtr server_context(const Issued& own) {
  SslCtxPtr context(SSL_CTX_new(TLS_server_method()));
  HG_CHECK(SSL_CTX_use_certificate(context.get(), own.certificate.get()) == 1);
  HG_CHECK(SSL_CTX_use_PrivateKey(context.get(), own.key.get()) == 1);
  return context;
}

/// Keeps the newest session of the clients whose SSL objects point to an owner.
int keep_session(SSL* ssl, SSL_SESSION* session) {
  auto* kept = static_cast<SessionPtr*>(SSL_get_app_data(ssl));
  if (kept == nullptr) return 0;
  kept->reset(session);
  return 1;
}

SslCtxPtr client_context(const LifeKind& kind, const Issued& own) {
  SslCtxPtr context(SSL_CTX_new(TLS_client_method()));
  if (kind.max_version != 0) SSL_CTX_set_max_proto_version(context.get(), kind.max_version);
  if (kind.groups != nullptr) HG_CHECK(SSL_CTX_set1_groups_list(context.get(), kind.groups) == 1);
  if (kind.ciphers != nullptr) HG_CHECK(SSL_CTX_set_cipher_list(context.get(), kind.ciphers) == 1);
  if (kind.client_certificate) {
    HG_CHECK(SSL_CTX_use_certificate(context.get(), own.certificate.get()) == 1);
    HG_CHECK(SSL_CTX_use_PrivateKey(context.get(), own.key.get()) == 1);
  }
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context.get(), keep_session);
  return context;
}

config::Backend backend_named(const std::string& name, const std::string& address) {
  config::Backend backend;
  backend.name = name;
  backend.servers.emplace_back().address = address;
  backend.connect_timeout = kLong;
  backend.ejection.failures = 1'000'000'000;
  backend.servers.back().max_connections = kMostConnections;
  return backend;
}

config::Listener listener_named(const std::string& name) {
  config::Listener listener;
  listener.name = listener.backend = name;
  config::Limits& limits = listener.limits;
  limits.max_connections = limits.max_connections_per_source = kMostConnections;
  limits.handshake_rate = limits.connection_rate = limits.connection_rate_per_source = 1'000'000'000;
  limits.penalty.failures = 1'000'000;
  limits.read_bytes_per_second = 1;
  limits.hello_bytes_per_second = 0;
  // A connection that waits in vain fails the test, however slow the machine is.
  listener.timeouts = {
      .handshake = kLong, .idle = kLong, .half_close = kLong, .lifetime = 0ms, .shutdown = kLong};
  return listener;
}

}  // namespace

template <class Ask>
auto World::on_loop(Ask ask) {
  std::promise<decltype(ask())> answer;
  auto told = answer.get_future();
  worker_->post([&] { answer.set_value(ask()); });
  return told.get();
}

World::World(const LifeKind& kind, Worked worked)
    : kind_(kind),
      authority_(issued({.common_name = "Faults CA", .ca = true})),
      server_(issued({.key = kind.key})),
      client_(issued({.common_name = "client", .key = "RSA-2048"})),
      backend_context_(server_context(server_)),
      client_context_(client_context(kind, client_)),
      nowhere_(::open("/dev/null", O_WRONLY | O_CLOEXEC)),
      log_(*Log::open({.level = LogLevel::kDebug, .format = LogFormat::kText, .fd = nowhere_.number()})) {
  std::signal(SIGPIPE, SIG_IGN);
  const bool tls_at_backend = kind.backend_tls || kind.passthrough;
  backend_ = std::make_unique<EchoBackend>(tls_at_backend ? backend_context_.get() : nullptr);
  backend_->expects_proxy_header = kind.proxy_headers;
  neighbours_backend_ = std::make_unique<EchoBackend>();
  configure(kind, worked);
  serve();
  const bool neighbour_has_tls = config_.listeners.back().tls.has_value();
  neighbour_ = std::make_unique<Peer>(dial(neighbours_address_), neighbour_has_tls ? client_ssl() : nullptr);
  HG_CHECK(neighbour_talks().empty());
  descriptors_at_rest_ = open_descriptors();
  // Twice: the second life finds a ticket.
  for (int i = 0; worked == Worked::kBefore && i < 2; ++i) live_without_faults();
}

void World::live_without_faults() {
  const LifeEnd end = live({});
  if (end.whole && end.fault.empty()) return;
  std::fprintf(stderr, "a life without a fault: %s: %s\n", kind_.name, end.fault.c_str());
  std::abort();
}

World::~World() = default;

void World::configure(const LifeKind& kind, Worked worked) {
  config::Listener life = listener_named("life");
  config::Listener neighbour = listener_named("neighbour");
  if (kind.half_close_ms > 0) life.timeouts.half_close = std::chrono::milliseconds(kind.half_close_ms);
  const std::string authority = files_.write("ca.pem", authority_.certificate_pem());
  for (config::Listener* listener : {&life, &neighbour}) {
    listener->tls.emplace().certificates.emplace_back().certificate =
        files_.write("server.pem", server_.pem());
  }
  if (worked == Worked::kNever) neighbour.tls.reset();
  config::Tls& tls = *life.tls;
  if (kind.ciphers != nullptr) {
    tls.ciphers = kind.ciphers;
    if (neighbour.tls) neighbour.tls->ciphers = kind.ciphers;
  }
  if (kind.openssl_records) tls.record_layer = config::RecordLayer::kOpenssl;
  if (kind.client_certificate) {
    tls.client_auth.mode = config::ClientAuthMode::kRequired;
    tls.client_auth.ca = authority;
  }
  if (kind.passthrough) {
    config::Route& route = life.routes.emplace_back();
    route.sni = {"www.example.com"};
    route.passthrough = true;
    route.backend = "life";
  }
  if (kind.starttls) life.starttls = StarttlsProtocol::kPostgres;
  if (!kind.client_tls) life.tls.reset();
  config::Backend backend = backend_named("life", backend_->address());
  if (kind.proxy_headers) {
    life.proxy_protocol.emplace().from.push_back(*Network::parse("127.0.0.0/8"));
    backend.send_proxy = config::SendProxy::kV1;
  }
  if (kind.backend_tls) {
    config::BackendTls& to_backend = backend.tls.emplace();
    to_backend.server_name = "www.example.com";
    to_backend.ca = authority;
    to_backend.certificate = files_.write("client.pem", client_.pem());
  }
  config_.listeners = {std::move(life), std::move(neighbour)};
  config_.limits = {
      .max_connections = 2 * kMostConnections, .handshake_rate = 1'000'000'000, .max_memory = {1ULL << 50U}};
  config_.backends.emplace("life", std::move(backend));
  config_.backends.emplace("neighbour", backend_named("neighbour", neighbours_backend_->address()));
}

void World::serve() {
  worker_ = *Worker::make({.index = 0, .access = config::AccessLog::kAll}, *log_, registry_);
  Diagnostics faults;
  auto shared = Snapshot::build(config_, {}, directory_, std::chrono::system_clock::now(), faults);
  if (shared == nullptr) std::fprintf(stderr, "%s\n", faults.front().what.c_str());
  HG_CHECK(shared != nullptr);
  auto snapshot =
      *WorkerSnapshot::prepare(shared, 0, worker_->library(), *worker_->offload_library(), registry_);
  worker_->post([this, snapshot]() mutable { worker_->adopt(std::move(snapshot), config::AccessLog::kAll); });
  for (auto [name, address] : {std::pair{"life", &address_}, std::pair{"neighbour", &neighbours_address_}}) {
    auto socket = std::make_shared<Fd>(*listen_on(*Address::parse("127.0.0.1:0"), {}));
    *address = local_address(socket->number());
    worker_->post([this, name, socket] { worker_->listen({name, "127.0.0.1:0", std::move(*socket)}); });
  }
  HG_CHECK(worker_->start());
}

SslPtr World::client_ssl() {
  SslPtr ssl(SSL_new(client_context_.get()));
  SSL_set_tlsext_host_name(ssl.get(), "www.example.com");
  SSL_set_connect_state(ssl.get());
  return ssl;
}

void World::turn(const std::vector<int>& also) {
  std::vector<int> all = backend_->descriptors();
  for (const int fd : neighbours_backend_->descriptors()) all.push_back(fd);
  all.push_back(neighbour_->descriptor());
  for (const int descriptor : also) all.push_back(descriptor);
  wait_for_any(all);
  backend_->step();
  neighbours_backend_->step();
}

/// Empty, or what went wrong with the connection that must not notice anything.
std::string World::neighbour_talks() {
  const std::string words = "the neighbour's words in life " + std::to_string(lives_);
  neighbour_->send(words);
  const TimePoint end = Clock::now() + kPatience;
  while (neighbour_->received().size() < words.size() && !neighbour_->is_over() && Clock::now() < end) {
    neighbour_->step();
    if (neighbour_->received().size() < words.size()) turn({});
  }
  return neighbour_->take() == words ? "" : "another connection's bytes changed";
}

std::array<std::uint64_t, kCloseReasonCount> World::ends() const {
  std::array<std::uint64_t, kCloseReasonCount> counts{};
  auto& metrics = const_cast<MetricsRegistry&>(registry_).listener(0, "life");
  for (std::size_t i = 0; i < counts.size(); ++i) counts[i] = metrics.closed[i].value();
  return counts;
}

/// The client of one life: it sends its request, and ends when it has the whole echo.
struct World::Client {
  Client(Fd fd, const LifeKind& kind, SslPtr ssl, std::string words)
      : request(std::move(words)), peer(prepare(std::move(fd), kind), std::move(ssl)) {
    peer.send(request);
  }

  /// The bytes in front of TLS.
  static Fd prepare(Fd fd, const LifeKind& kind) {
    std::string first;
    if (kind.proxy_headers) first += "PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\n";
    if (kind.starttls) first += kSslRequest;
    if (!first.empty()) ::send(fd.number(), first.data(), first.size(), MSG_NOSIGNAL);
    return fd;
  }
  void step() {
    peer.step();
    if (peer.received().size() >= request.size()) peer.end();
    peer.finish();
  }

  std::string request;
  Peer peer;
};

LifeEnd World::live(const FaultPlan& plan) {
  ++lives_;
  const auto before = ends();
  LifeEnd end;
  begin_faults(plan);
  {
    Fd fd = dial(address_);
    SslPtr ssl = kind_.client_tls || kind_.passthrough ? client_ssl() : nullptr;
    if (ssl && kind_.resumes) {
      SSL_set_app_data(ssl.get(), &session_);
      if (session_) SSL_set_session(ssl.get(), session_.get());
    }
    bool answered = !kind_.starttls;
    Client client(std::move(fd), kind_, std::move(ssl), request_of(lives_));
    const TimePoint patience = Clock::now() + kPatience;
    auto after = before;
    while (Clock::now() < patience) {
      if (!answered) {
        char letter = 0;
        const ssize_t got = ::recv(client.peer.descriptor(), &letter, 1, 0);
        answered = got == 1 && letter == 'S';
        if (got == 0 || (got < 0 && errno != EAGAIN)) client.peer.give_up();
      }
      if (answered) client.step();
      if (client.peer.is_over()) client.peer.close();
      after = ends();
      if (client.peer.is_over() && after != before) break;
      turn(client.peer.is_over() ? std::vector<int>() : std::vector<int>{client.peer.descriptor()});
    }
    end.whole = client.peer.received() == client.request && !client.peer.is_broken();
    // Where no backend can be reached, a client hears its protocol's own error.
    const bool echoed = client.request.starts_with(client.peer.received());
    const bool refused =
        kind_.starttls && client.peer.received() == starttls_unavailable(StarttlsProtocol::kPostgres);
    if (!echoed && !refused) end.fault = "the client got other bytes than it sent";
    for (std::size_t i = 0; i < after.size(); ++i) {
      if (after[i] == before[i]) continue;
      if (end.why || after[i] != before[i] + 1)
        end.fault = "the connection was counted as ended more than once";
      end.why = static_cast<CloseReason>(i);
    }
  }
  end.struck = end_faults();
  if (!end.why) end.fault = "the connection has not ended";
  if (end.fault.empty() && end.why == CloseReason::kFinished && !end.whole)
    end.fault = "finished, but the client lacks bytes";
  if (end.fault.empty()) end.fault = settled();
  if (end.fault.empty()) end.fault = neighbour_talks();
  return end;
}

/// Waits until nothing of a life is left. Empty, or what is left.
std::string World::settled() {
  const TimePoint end = Clock::now() + kPatience;
  for (;;) {
    const bool one_left = on_loop([this] { return worker_->connections().size() == 1; });
    const std::size_t open = open_descriptors();
    const bool all_gone = one_left && backend_->open_connections() == 0;
    if (all_gone && open == descriptors_at_rest_) return "";
    if (Clock::now() > end) {
      return one_left
                 ? std::to_string(open) + " descriptors are open, not " + std::to_string(descriptors_at_rest_)
                 : "the worker keeps the connection";
    }
    turn({});
  }
}

}  // namespace headgate::test
