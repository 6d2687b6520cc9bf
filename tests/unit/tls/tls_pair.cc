#include "unit/tls/tls_pair.h"

#include <openssl/err.h>

#include "base/check.h"
#include "base/text_of.h"
#include "tls/handshake/handshake_failure.h"

namespace headgate::test {
namespace {

/// Moves the bytes that one end wrote to the other end.
void move_bytes(BIO* from, BIO* to) {
  std::array<char, 16384> buffer{};
  for (int size = 0; (size = BIO_read(from, buffer.data(), static_cast<int>(buffer.size()))) > 0;) {
    HG_CHECK(BIO_write(to, buffer.data(), size) == size);
  }
}

void give_memory_bios(SSL* ssl) {
  BIO* in = BIO_new(BIO_s_mem());
  BIO* out = BIO_new(BIO_s_mem());
  BIO_set_mem_eof_return(in, -1);
  BIO_set_mem_eof_return(out, -1);
  SSL_set_bio(ssl, in, out);
}

int keep_session(SSL* ssl, SSL_SESSION* session) {
  static_cast<Outcome*>(SSL_get_app_data(ssl))->session.reset(session);
  return 1;
}

SslCtxPtr client_context(const ClientOptions& options) {
  SslCtxPtr context(SSL_CTX_new(TLS_client_method()));
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context.get(), keep_session);
  if (options.max_version != 0) SSL_CTX_set_max_proto_version(context.get(), options.max_version);
  if (!options.groups.empty()) HG_CHECK(SSL_CTX_set1_groups_list(context.get(), options.groups.c_str()) == 1);
  if (!options.cipher_suites.empty())
    HG_CHECK(SSL_CTX_set_ciphersuites(context.get(), options.cipher_suites.c_str()) == 1);
  if (!options.ciphers.empty())
    HG_CHECK(SSL_CTX_set_cipher_list(context.get(), options.ciphers.c_str()) == 1);
  if (!options.signature_algorithms.empty()) {
    HG_CHECK(SSL_CTX_set1_sigalgs_list(context.get(), options.signature_algorithms.c_str()) == 1);
  }
  if (options.certificate != nullptr) {
    HG_CHECK(SSL_CTX_use_certificate(context.get(), options.certificate->certificate.get()) == 1);
    HG_CHECK(SSL_CTX_use_PrivateKey(context.get(), options.certificate->key.get()) == 1);
  }
  return context;
}

SslPtr client_ssl(SSL_CTX* context, const ClientOptions& options, Outcome& outcome) {
  SslPtr ssl(SSL_new(context));
  SSL_set_app_data(ssl.get(), &outcome);
  give_memory_bios(ssl.get());
  if (!options.server_name.empty()) SSL_set_tlsext_host_name(ssl.get(), options.server_name.c_str());
  if (!options.alpn.empty()) {
    const std::string wire = static_cast<char>(options.alpn.size()) + options.alpn;
    SSL_set_alpn_protos(ssl.get(), reinterpret_cast<const unsigned char*>(wire.data()),
                        static_cast<unsigned>(wire.size()));
  }
  if (options.session != nullptr) SSL_set_session(ssl.get(), options.session);
  if (options.staple) SSL_set_tlsext_status_type(ssl.get(), TLSEXT_STATUSTYPE_ocsp);
  SSL_set_connect_state(ssl.get());
  return ssl;
}

bool step(SSL* ssl) {
  ERR_clear_error();
  return SSL_do_handshake(ssl) == 1;
}

/// The view of the server when its handshake could not go on.
HandshakeFailure failure_at(SSL* ssl, const SslExtraData& extra) {
  if (extra.refusal != HandshakeFailure::kNone) return extra.refusal;
  const ErrorCode error = ERR_peek_error();
  return SSL_get_error(ssl, -1) == SSL_ERROR_SSL ? failure_at_server(ssl, error) : HandshakeFailure::kNone;
}

void read_alert(SSL* client, Outcome& outcome) {
  std::array<char, 64> buffer{};
  ERR_clear_error();
  const int size = SSL_read(client, buffer.data(), static_cast<int>(buffer.size()));
  if (size > 0) outcome.ok = true;
  if (size <= 0) outcome.alert_at_client = received_alert_of(ERR_peek_error());
}

void describe(SSL* client, Outcome& outcome) {
  const X509Ptr leaf(SSL_get_peer_certificate(client));
  if (leaf != nullptr) outcome.served_fingerprint = identity_of(leaf.get()).fingerprint;
  const unsigned char* protocol = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(client, &protocol, &size);
  outcome.alpn.assign(reinterpret_cast<const char*>(protocol), size);
  outcome.version = SSL_version(client);
  if (const SSL_CIPHER* cipher = SSL_get_current_cipher(client); cipher != nullptr)
    outcome.cipher = text_of(SSL_CIPHER_standard_name(cipher));
  outcome.resumed = SSL_session_reused(client) == 1;
  const unsigned char* staple = nullptr;
  const long staple_size = SSL_get_tlsext_status_ocsp_resp(client, &staple);
  if (staple_size > 0)
    outcome.staple.assign(reinterpret_cast<const char*>(staple), static_cast<std::size_t>(staple_size));
}

}  // namespace

ListenerFixture::ListenerFixture() {
  listener.name = "web";
  listener.tls.emplace();
  listener.tls->record_layer = config::RecordLayer::kOpenssl;  // so OpenSSL sends the tickets
}

std::shared_ptr<const ListenerTls> ListenerFixture::build(const ListenerTls* previous) const {
  const TemporaryDirectory directory;
  config::Listener wanted = listener;
  config::Tls& tls = *wanted.tls;
  if (client_ca != nullptr) tls.client_auth.ca = directory.write("ca.pem", client_ca->certificate_pem());
  if (!crl_pem.empty()) tls.client_auth.crl = directory.write("ca.crl", crl_pem);
  // The test gives the store, but loading needs some certificate in the configuration.
  static const Issued placeholder = issue({});
  tls.certificates = {{.certificate = directory.write("placeholder.pem", placeholder.pem()),
                       .private_key = "",
                       .ocsp_staple = ""}};
  Diagnostics out;
  const auto loaded = ListenerTls::load(wanted, previous, nullptr, std::chrono::system_clock::now(), out);
  HG_CHECK(loaded != nullptr);
  auto mine = std::make_shared<ListenerTls>(*loaded);
  if (!certificates.empty()) mine->certificates = CertificateStore::of(tls, certificates);
  if (ticket_secrets != nullptr) mine->ticket_secrets = ticket_secrets;
  return mine;
}

Server serve(std::shared_ptr<const ListenerTls> shared) {
  Server server;
  auto library = LibraryContext::make();
  HG_CHECK(library.has_value());
  server.library = std::move(*library);
  server.metrics = std::make_unique<ListenerMetrics>();
  auto context = ServerContext::make(*server.library, nullptr, std::move(shared), *server.metrics);
  if (!context) std::fprintf(stderr, "%s\n", context.error().what.c_str());
  HG_CHECK(context.has_value());
  server.context = std::move(*context);
  return server;
}

Outcome connect(ServerContext& server, const ClientOptions& options) {
  Outcome outcome;
  const SslCtxPtr context = client_context(options);
  const SslPtr client = client_ssl(context.get(), options, outcome);
  step(client.get());

  // The server reads the ClientHello before OpenSSL does, as a worker's hello phase does.
  std::vector<std::byte> first(65536);
  const int size = BIO_read(SSL_get_wbio(client.get()), first.data(), static_cast<int>(first.size()));
  HG_CHECK(size > 0);
  const auto hello = parse_client_hello(std::span(first).first(static_cast<std::size_t>(size)));
  HG_CHECK(hello.has_value());
  const Selection selection = server.select(*hello);
  outcome.why = selection.why;
  outcome.selected = selection.certificate != nullptr;
  if (!outcome.selected) return outcome;

  SslExtraData extra;
  auto made = server.new_ssl(*selection.certificate, extra);
  HG_CHECK(made.has_value());
  SSL* const ssl = made->get();
  give_memory_bios(ssl);
  BIO_write(SSL_get_rbio(ssl), first.data(), size);
  bool server_done = false, client_done = false;
  for (int turn = 0; turn < 8 && !(server_done && client_done); ++turn) {
    extra.full_permitted = true;
    if (!server_done && outcome.failure == HandshakeFailure::kNone) server_done = step(ssl);
    if (!server_done && outcome.failure == HandshakeFailure::kNone) outcome.failure = failure_at(ssl, extra);
    move_bytes(SSL_get_wbio(ssl), SSL_get_rbio(client.get()));
    if (!client_done) client_done = step(client.get());
    if (!client_done && outcome.alert_at_client < 0)
      outcome.alert_at_client = received_alert_of(ERR_peek_error());
    move_bytes(SSL_get_wbio(client.get()), SSL_get_rbio(ssl));
  }
  if (server_done) {
    outcome.peer = peer_identity(ssl, extra);
    SSL_write(ssl, "x", 1);
  }
  move_bytes(SSL_get_wbio(ssl), SSL_get_rbio(client.get()));
  if (client_done) read_alert(client.get(), outcome);
  describe(client.get(), outcome);
  outcome.refusal_detail = extra.refusal_detail;
  outcome.server_hellos = extra.server_hellos;
  // Both ends end in order, because OpenSSL makes the session of a broken connection unusable.
  SSL_set_shutdown(client.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  return outcome;
}

}  // namespace headgate::test
