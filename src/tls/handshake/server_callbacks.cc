#include "tls/handshake/server_callbacks.h"

#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include "base/check.h"
#include "base/out_of_memory.h"
#include "tls/certificate/certificate_compression.h"
#include "tls/certificate/shown_certificate.h"
#include "tls/handshake/handshake_failure.h"
#include "tls/handshake/session_binding.h"

namespace headgate {

/// The functions that OpenSSL calls, each under the name of the function with which it is registered.
struct ServerCallbacks {
  static ServerContext& context_of(const SSL* ssl) {
    return *static_cast<ServerContext*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  }
  static void count(const SSL* ssl, TicketEvent event) {
    context_of(ssl).metrics_.tickets[static_cast<std::size_t>(event)].add();
  }

  static void count(const SSL* ssl, ClientCertificateFault fault) {
    context_of(ssl).metrics_.client_certificate_faults[static_cast<std::size_t>(fault)].add();
  }

  static int certificate(SSL* ssl, void* arg);
  static int servername(SSL* ssl, int* alert, void* arg);
  static int alpn_select(SSL* ssl, const unsigned char** out, unsigned char* out_size,
                         const unsigned char* in, unsigned in_size, void* arg);
  static int status(SSL* ssl, void* arg);
  static void event(const SSL* ssl, int where, int value);
  static void keylog(const SSL* ssl, const char* line);
  static int cert_verify(X509_STORE_CTX* store, void* arg);
  static int ticket_key(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                        EVP_MAC_CTX* mac, int encrypt);
  static SessionBinding binding_for(const SSL* ssl, const ClientRules& rules, WallTime now);
  static int generate_ticket(SSL* ssl, void* arg);
  static SSL_TICKET_RETURN decrypt_ticket(SSL* ssl, SSL_SESSION* session, const unsigned char* name,
                                          std::size_t size, SSL_TICKET_STATUS status, void* arg);

  static void install(ServerContext& context);
};

namespace {

std::optional<SessionBinding> binding_of(SSL_SESSION* session) {
  void* data = nullptr;
  std::size_t size = 0;
  if (session == nullptr || SSL_SESSION_get0_ticket_appdata(session, &data, &size) != 1) return std::nullopt;
  return SessionBinding::decode({static_cast<const std::byte*>(data), size});
}

bool bind(SSL_SESSION* session, const SessionBinding& binding) {
  const std::vector<std::byte> bytes = binding.encode();
  return SSL_SESSION_set1_ticket_appdata(session, bytes.data(), bytes.size()) == 1;
}

void copy_start(std::span<const std::byte> from, std::array<std::byte, SessionBinding::kPolicyBytes>& to) {
  std::copy_n(from.begin(), to.size(), to.begin());
}

/// Returns the peer of a session as its ticket has it; nullptr without one.
std::unique_ptr<PeerIdentity> peer_of(SSL_SESSION* session, const SessionBinding& binding) {
  X509* leaf = SSL_SESSION_get0_peer(session);
  if (leaf == nullptr) return nullptr;
  auto identity = std::make_unique<PeerIdentity>(identity_of(leaf));
  identity->issued_by = binding.issued_by;
  identity->chain = binding.chain;
  identity->trust = binding.trust;
  identity->not_after =
      std::min(identity->not_after, WallTime(std::chrono::seconds(binding.chain_not_after)));
  return identity;
}

/// The number by which OpenSSL learns of our refusal: OpenSSL picks the alert by it.
int verify_error_for(HandshakeFailure why) {
  switch (why) {
    case HandshakeFailure::kClientCertificateExpired:
      return X509_V_ERR_CERT_HAS_EXPIRED;
    case HandshakeFailure::kClientCertificateRevoked:
      return X509_V_ERR_CERT_REVOKED;
    case HandshakeFailure::kClientCertificateUntrusted:
      return X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT;
    default:
      return X509_V_ERR_CERT_REJECTED;
  }
}

}  // namespace

/// OpenSSL asks for the certificate when it knows that the handshake will be a full one, before it exchanges
/// keys and signs. Headgate has chosen the certificate already, and uses this callback to wait for the
/// permit. Each ClientHello needs a permit, so the one behind a HelloRetryRequest does, too.
int ServerCallbacks::certificate(SSL* ssl, void*) {
  constexpr int kGoOn = 1, kPause = -1;
  return std::exchange(extra_data_of(ssl)->full_permitted, false) ? kGoOn : kPause;
}

int ServerCallbacks::servername(SSL*, int*, void*) {
  return SSL_TLSEXT_ERR_OK;  // acknowledged: a certificate has been chosen by name, or the default is wanted
}

/// The listener's order of preference decides. RFC 7301, section 3.2: no shared protocol is a fatal alert.
int ServerCallbacks::alpn_select(SSL*, const unsigned char** out, unsigned char* out_size,
                                 const unsigned char* in, unsigned in_size, void* arg) {
  const std::string_view offered(reinterpret_cast<const char*>(in), in_size);
  const auto& wire = static_cast<ServerContext*>(arg)->alpn_wire_;
  for (std::size_t mine = 0; mine < wire.size(); mine += 1 + static_cast<unsigned char>(wire[mine])) {
    const std::string_view wanted(wire.data() + mine, 1 + static_cast<unsigned char>(wire[mine]));
    for (std::size_t at = 0; at < offered.size(); at += 1 + static_cast<unsigned char>(offered[at])) {
      if (offered.substr(at, wanted.size()) != wanted) continue;
      *out = in + at + 1;
      *out_size = in[at];
      return SSL_TLSEXT_ERR_OK;
    }
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

int ServerCallbacks::status(SSL* ssl, void* arg) {
  const SslExtraData* extra = extra_data_of(ssl);
  if (extra->certificate->staple() == nullptr) return SSL_TLSEXT_ERR_NOACK;
  const OcspStaple* staple = extra->certificate->staple_at(std::chrono::system_clock::now());
  if (staple == nullptr) {
    static_cast<ServerContext*>(arg)->metrics_.ocsp_staples_expired.add();
    return SSL_TLSEXT_ERR_NOACK;
  }
  void* copy = OPENSSL_memdup(staple->der.data(), staple->der.size());  // OpenSSL frees it
  if (copy == nullptr) return SSL_TLSEXT_ERR_NOACK;
  SSL_set_tlsext_status_ocsp_resp(ssl, static_cast<unsigned char*>(copy),
                                  static_cast<long>(staple->der.size()));
  extra_data_of(ssl)->stapled = true;
  return SSL_TLSEXT_ERR_OK;
}

void ServerCallbacks::event(const SSL* ssl, int where, int value) {
  record_ssl_event(ssl, where, value);
  if (where == SSL_CB_ACCEPT_LOOP && has_sent_compressed_certificate(ssl)) {
    context_of(ssl).metrics_.certificates_compressed.add();
  }
}

void ServerCallbacks::keylog(const SSL* ssl, const char* line) {
  const Fd& file = *context_of(ssl).shared_->keylog;
  char newline = '\n';
  // One writev goes to a file opened for appending, so lines of several workers do not mix. A full disk loses
  // lines of a debugging aid, not connections.
  const std::array<iovec, 2> parts{{{const_cast<char*>(line), std::strlen(line)}, {&newline, 1}}};
  [[maybe_unused]] const ssize_t written =
      ::writev(file.number(), parts.data(), static_cast<int>(parts.size()));
}

/// Builds and checks the chain as OpenSSL does, then asks the listener's policy, so that a peer that is
/// refused learns so in the handshake.
int ServerCallbacks::cert_verify(X509_STORE_CTX* store, void* arg) {
  const auto* ssl =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  SslExtraData* extra = extra_data_of(ssl);
  const ServerContext& context = *static_cast<ServerContext*>(arg);
  const ClientRules& rules = context.rules_;
  auto peer = std::make_unique<PeerIdentity>(identity_of(X509_STORE_CTX_get0_cert(store)));
  const auto refuse = [&](Authorization answer, ClientCertificateFault fault) {
    count(ssl, fault);
    extra->refusal = answer.why;
    extra->refusal_detail = std::move(answer.detail);
    X509_STORE_CTX_set_error(store, rules.only_count ? X509_V_OK : verify_error_for(answer.why));
    return rules.only_count ? 1 : 0;
  };
  const ClientCas* cas = rules.cas_of(*peer);
  if (cas == nullptr) return refuse(no_ca_for(*peer), ClientCertificateFault::kUnknownCa);
  const auto of_domain = context.domain_cas_.find(cas);
  // Only the CAs of the peer's trust domain may be the end of its chain.
  if (of_domain != context.domain_cas_.end())
    X509_STORE_CTX_set0_trusted_stack(store, of_domain->second.get());
  if (X509_verify_cert(store) != 1) {
    const int error = X509_STORE_CTX_get_error(store);
    count(ssl, fault_of_verification(error));
    extra->refusal = failure_of_verification(error);
    extra->refusal_detail = std::string("the client's certificate: ") + X509_verify_cert_error_string(error);
    if (rules.only_count) X509_STORE_CTX_set_error(store, X509_V_OK);
    return rules.only_count ? 1 : 0;
  }
  add_chain(*peer, store);
  Authorization answer = rules.peers->authorize(peer.get(), std::chrono::system_clock::now());
  const ClientCertificateFault fault = fault_of_refusal(answer.why);
  if (answer.keeps_identity() && (answer.allowed || rules.only_count)) extra->verified_peer = std::move(peer);
  return answer.allowed ? 1 : refuse(std::move(answer), fault);
}

/// RFC 5077, section 4: name, IV, AES-256-CBC, HMAC-SHA-256.
int ServerCallbacks::ticket_key(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                                EVP_MAC_CTX* mac, int encrypt) {
  ServerContext& context = context_of(ssl);
  const WallTime now = std::chrono::system_clock::now();
  const TicketKey* key = encrypt == 1
                             ? context.ticket_keys_.issuing(now)
                             : context.ticket_keys_.find(std::span<const unsigned char, 16>(name, 16), now);
  if (key == nullptr) return 0;  // do without a ticket, or without this one
  if (encrypt == 1) {
    std::copy(key->name.begin(), key->name.end(), name);
    if (RAND_bytes_ex(context.library_.get(), iv, 16, 0) != 1) return -1;
  }
  char digest[] = "SHA2-256";
  auto* mac_key = const_cast<unsigned char*>(key->mac.data());
  const std::array<OSSL_PARAM, 3> parameters{
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, mac_key, 32),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), OSSL_PARAM_construct_end()};
  if (EVP_MAC_CTX_set_params(mac, parameters.data()) != 1) return -1;
  const EVP_CIPHER* aes = context.library_.aes_256_cbc();
  return EVP_CipherInit_ex(cipher, aes, nullptr, key->aes.data(), iv, encrypt) == 1 ? 1 : -1;
}

/// The binding of a session that is about to become a ticket.
SessionBinding ServerCallbacks::binding_for(const SSL* ssl, const ClientRules& rules, WallTime now) {
  if (auto before = SSL_session_reused(ssl) == 1 ? binding_of(SSL_get_session(ssl)) : std::nullopt) {
    return std::move(*before);  // resuming does not make a session younger
  }
  const SslExtraData* extra = extra_data_of(ssl);
  SessionBinding binding;
  copy_start(rules.policy, binding.policy);
  copy_start(extra->certificate->fingerprint(), binding.certificate);
  binding.authenticated_at = epoch_seconds(now);
  if (extra->verified_peer != nullptr) {
    binding.chain_not_after = epoch_seconds(extra->verified_peer->not_after);
    binding.issued_by = extra->verified_peer->issued_by;
    binding.trust = extra->verified_peer->trust;
    binding.chain = extra->verified_peer->chain;
  }
  return binding;
}

int ServerCallbacks::generate_ticket(SSL* ssl, void* arg) {
  const ClientRules& rules = static_cast<ServerContext*>(arg)->rules_;
  if (!bind(SSL_get_session(ssl), binding_for(ssl, rules, std::chrono::system_clock::now()))) return 0;
  count(ssl, TicketEvent::kIssued);
  return 1;
}

/// Decides whether a ticket that could be opened may be used for this connection. A refused ticket costs a
/// full handshake, in which the peer is evaluated anew.
SSL_TICKET_RETURN ServerCallbacks::decrypt_ticket(SSL* ssl, SSL_SESSION* session, const unsigned char*,
                                                  std::size_t, SSL_TICKET_STATUS status, void* arg) {
  if (status == SSL_TICKET_NO_DECRYPT) count(ssl, TicketEvent::kUnknownKey);
  if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
    return SSL_TICKET_RETURN_IGNORE_RENEW;

  const ListenerTls& shared = *static_cast<ServerContext*>(arg)->shared_;
  const ClientRules& rules = static_cast<ServerContext*>(arg)->rules_;
  const WallTime now = std::chrono::system_clock::now();
  const auto binding = binding_of(session);
  SessionBinding wanted;
  copy_start(rules.policy, wanted.policy);
  copy_start(extra_data_of(ssl)->certificate->fingerprint(), wanted.certificate);
  if (!binding || binding->policy != wanted.policy || binding->certificate != wanted.certificate) {
    count(ssl, TicketEvent::kRefusedPolicy);
    return SSL_TICKET_RETURN_IGNORE_RENEW;
  }
  if (epoch_seconds(now) - binding->authenticated_at > shared.settings.resumption.lifetime.count()) {
    count(ssl, TicketEvent::kExpired);
    return SSL_TICKET_RETURN_IGNORE_RENEW;
  }
  if (!rules.peers->authorize(peer_of(session, *binding).get(), now).allowed) {
    count(ssl, TicketEvent::kRefusedPolicy);
    return SSL_TICKET_RETURN_IGNORE_RENEW;
  }
  count(ssl, TicketEvent::kResumed);
  // A TLS 1.3 client uses a ticket once (RFC 8446, appendix C.4), so the server gives it another one.
  const bool renew = status == SSL_TICKET_SUCCESS_RENEW || SSL_version(ssl) == TLS1_3_VERSION;
  return renew ? SSL_TICKET_RETURN_USE_RENEW : SSL_TICKET_RETURN_USE;
}

void ServerCallbacks::install(ServerContext& context) {
  SSL_CTX* ctx = context.context_.get();
  const config::Tls& settings = context.shared_->settings;
  SSL_CTX_set_app_data(ctx, &context);
  SSL_CTX_set_info_callback(ctx, event);
  SSL_CTX_set_cert_cb(ctx, certificate, nullptr);
  SSL_CTX_set_tlsext_servername_callback(ctx, servername);
  SSL_CTX_set_tlsext_status_cb(ctx, status);
  SSL_CTX_set_tlsext_status_arg(ctx, &context);
  if (!settings.alpn.empty()) SSL_CTX_set_alpn_select_cb(ctx, alpn_select, &context);
  if (context.rules_.ask()) {
    SSL_CTX_set_cert_verify_callback(ctx, callable_from_c<cert_verify, 0>, &context);
  }
  if (settings.resumption.tickets) {
    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, callable_from_c<ticket_key, -1>);
    SSL_CTX_set_session_ticket_cb(ctx, callable_from_c<generate_ticket, 0>,
                                  callable_from_c<decrypt_ticket, SSL_TICKET_RETURN_IGNORE_RENEW>, &context);
  }
  if (context.shared_->keylog != nullptr) SSL_CTX_set_keylog_callback(ctx, keylog);
}

void set_server_callbacks(ServerContext& context) {
  ServerCallbacks::install(context);
}

std::size_t ServerContext::tickets_due(const SSL* ssl) const {
  const config::Resumption& resumption = shared_->settings.resumption;
  const bool left_to_us = SSL_version(ssl) == TLS1_3_VERSION && SSL_get_num_tickets(ssl) == 0;
  if (!resumption.tickets || !left_to_us) return 0;
  const auto wanted = static_cast<std::size_t>(resumption.per_connection);
  // A client that resumed has used up one ticket.
  return SSL_session_reused(ssl) == 1 ? std::min<std::size_t>(wanted, 1) : wanted;
}

std::vector<std::byte> ServerContext::issue_tickets(SSL* ssl, Octets resumption_secret) {
  const std::size_t count = tickets_due(ssl);
  if (count == 0) return {};
  const WallTime now = std::chrono::system_clock::now();
  const SessionBinding binding = ServerCallbacks::binding_for(ssl, rules_, now);
  SSL_SESSION* session = SSL_get_session(ssl);
  if (!bind(session, binding)) return {};
  const std::chrono::seconds age(epoch_seconds(now) - binding.authenticated_at);
  auto messages = ticket_issuer_.issue({.session = session,
                                        .resumption_secret = resumption_secret,
                                        .count = count,
                                        .lifetime = shared_->settings.resumption.lifetime - age},
                                       now);
  if (!messages.empty()) metrics_.tickets[static_cast<std::size_t>(TicketEvent::kIssued)].add(count);
  return messages;
}

std::unique_ptr<PeerIdentity> peer_identity(SSL* ssl, SslExtraData& extra) {
  if (SSL_session_reused(ssl) != 1) return std::move(extra.verified_peer);
  const auto binding = binding_of(SSL_get_session(ssl));
  return binding ? peer_of(SSL_get_session(ssl), *binding) : nullptr;
}

}  // namespace headgate
