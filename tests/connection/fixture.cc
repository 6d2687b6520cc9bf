#include "connection/fixture.h"

#include <openssl/ssl.h>

#include "tls/library/openssl_types.h"

namespace headgate::test {
namespace {

std::unique_ptr<Log> quiet_log(const Fd& nowhere) {
  return *Log::open({.level = LogLevel::kDebug, .format = LogFormat::kText, .fd = nowhere.number()});
}

}  // namespace

ConnectionTest::ConnectionTest()
    : certificate_(*SelfSigned::make("www.example.com")),
      nowhere_(::open("/dev/null", O_WRONLY | O_CLOEXEC)),
      log_(quiet_log(nowhere_)),
      library_(*LibraryContext::make()) {
  config::Listener web;
  web.name = "web";
  web.backend = "app";
  web.tls.emplace();
  web.tls->certificates.emplace_back().certificate = certificate_.path();
  config.listeners.push_back(std::move(web));
  config::Backend backend;
  backend.name = "app";
  backend.servers.resize(2);
  backend.servers[0].address = "127.0.0.1:1001";
  backend.servers[1].address = "127.0.0.1:1002";
  config.backends.emplace("app", std::move(backend));
  transport.servers.push_back(server);
}

// The connection goes first, because it uses all other members.
ConnectionTest::~ConnectionTest() {
  connection.reset();
}

void ConnectionTest::prepare() {
  Diagnostics faults;
  auto shared = Snapshot::build(config, {}, directory_, std::chrono::system_clock::now(), faults);
  ASSERT_NE(shared, nullptr) << (faults.empty() ? "" : faults.front().what);
  snapshot_ = *WorkerSnapshot::prepare(std::move(shared), 0, *library_, nullptr, metrics);
  snapshot_->adopt(nullptr, 1);
  unfinished.emplace(unfinished_bound);
  services_ = std::make_unique<Services>(Services{loop,
                                                  buffers,
                                                  transport,
                                                  handshakes,
                                                  permits,
                                                  host,
                                                  *log_,
                                                  limiter,
                                                  recorder,
                                                  known_tls,
                                                  *unfinished,
                                                  spares,
                                                  pipes,
                                                  config::AccessLog::kAll,
                                                  {}});
}

void ConnectionTest::resolve(const std::string& server_address, const ServerState::Addresses& addresses) {
  resolved_.push_back(directory_.state("app", server_address).value());
  resolved_.back()->publish(addresses);
}

void ConnectionTest::start() {
  connection.reset();
  prepare();
  connection = accept(client, 1);
}

void ConnectionTest::start_relay_over(std::unique_ptr<Stream> client_side,
                                      std::unique_ptr<Stream> backend_side) {
  if (!services_) prepare();
  ConnectionInfo info;
  info.id = 1;
  info.client = SourceAddress(*Address::parse(source));
  info.accepted = host.now();
  Relay relay;
  relay.last_byte = host.now();
  relay.to_backend.spliced = relay.to_client.spliced = spliced;
  connection = std::make_unique<Connection>(
      *services_, snapshot_, *snapshot_->listeners.front(),
      Sides{.client = std::move(client_side), .backend = std::move(backend_side)}, std::move(info),
      std::move(relay));
  connection->resume();
}

std::unique_ptr<Connection> ConnectionTest::accept(std::shared_ptr<Script> other, std::uint64_t id) {
  ConnectionInfo info;
  info.id = id;
  info.client = SourceAddress(*Address::parse(source));
  info.accepted = host.now();
  ListenerState& web = *snapshot_->listeners.front();
  auto accepted = std::make_unique<Connection>(
      *services_, snapshot_, web, std::make_unique<FakeStream>(std::move(other)), std::move(info));
  accepted->resume();
  return accepted;
}

void ConnectionTest::start_relay() {
  if (listener().tls) client->sends(client_hello());
  start();
  while (permits.waiting != nullptr) permits.grant();
  ASSERT_EQ(phase(), "relay");
}

void ConnectionTest::pass(Duration time) {
  host.time += time;
  connection->deadline_passed();
}

std::uint64_t ConnectionTest::ends(CloseReason reason) const {
  return connection->listener().metrics->closed[static_cast<std::size_t>(reason)].value();
}

std::string client_hello(const char* name, bool with_alpn) {
  const SslCtxPtr context(SSL_CTX_new(TLS_client_method()));
  const SslPtr ssl(SSL_new(context.get()));
  BIO* out = BIO_new(BIO_s_mem());
  SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), out);
  if (name != nullptr) SSL_set_tlsext_host_name(ssl.get(), name);
  static constexpr unsigned char kH2[] = {2, 'h', '2'};
  if (with_alpn) SSL_set_alpn_protos(ssl.get(), kH2, sizeof kH2);
  SSL_connect(ssl.get());
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(out, &bytes);
  return {bytes, static_cast<std::size_t>(size)};
}

}  // namespace headgate::test
