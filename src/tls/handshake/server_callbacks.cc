#include "tls/handshake/server_callbacks.h"

#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "base/check.h"
#include "base/out_of_memory.h"
#include "tls/certificate/shown_certificate.h"
#include "tls/handshake/handshake_failure.h"
#include "tls/handshake/session_binding.h"
#include "tls/library/key_use.h"
#include "tls/library/peer_strength.h"
#include "tls/library/tickets.h"

namespace headgate {

/// The functions that OpenSSL calls, each under the name of the function with which it is registered.
struct ServerCallbacks {
  static void count(const SSL* ssl, ClientCertificateFault fault) {
    ServerContext::of(ssl).metrics_.client_certificate_faults[static_cast<std::size_t>(fault)].add();
  }

  static int servername(SSL* ssl, int* alert, void* arg);
  static int alpn_select(SSL* ssl, const unsigned char** out, unsigned char* out_size,
                         const unsigned char* in, unsigned in_size, void* arg);
  static int status(SSL* ssl, void* arg);
  static void message(int sent, int version, int content_type, const void* bytes, std::size_t size, SSL* ssl,
                      void* argument);
  static void keylog(const SSL* ssl, const char* line);
  static int cert_verify(X509_STORE_CTX* store, void* arg);
  static void install(ServerContext& context);
};

namespace {

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

void ServerCallbacks::message(int sent, int version, int content_type, const void* bytes, std::size_t size,
                              SSL* ssl, void* argument) {
  constexpr unsigned char kCompressedCertificate = 25;  // RFC 8879, section 4
  record_message(sent, version, content_type, bytes, size, ssl, argument);
  if (sent != 0 && content_type == SSL3_RT_HANDSHAKE && size > 0 &&
      *static_cast<const unsigned char*>(bytes) == kCompressedCertificate)
    ServerContext::of(ssl).metrics_.certificates_compressed.add();
}

void ServerCallbacks::keylog(const SSL* ssl, const char* line) {
  const Fd& file = *ServerContext::of(ssl).shared_->keylog;
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
  const bool built = X509_verify_cert(store) == 1;
  const int error = error_of_chain(store, built);
  if (!built || error != X509_V_OK) {
    count(ssl, fault_of_verification(error));
    extra->refusal = failure_of_verification(error);
    extra->refusal_detail = std::string("the client's certificate: ") + verification_words(error);
    X509_STORE_CTX_set_error(store, rules.only_count ? X509_V_OK : error);
    return rules.only_count ? 1 : 0;
  }
  add_chain(*peer, store);
  Authorization answer = rules.peers->authorize(peer.get(), std::chrono::system_clock::now());
  const ClientCertificateFault fault = fault_of_refusal(answer.why);
  if (answer.keeps_identity() && (answer.allowed || rules.only_count)) extra->verified_peer = std::move(peer);
  return answer.allowed ? 1 : refuse(std::move(answer), fault);
}

SessionBinding ServerContext::binding_for(const SSL* ssl, WallTime now) const {
  const SslExtraData* extra = extra_data_of(ssl);
  // Resuming does not make a session younger.
  if (SSL_session_reused(ssl) == 1 && extra->resumed != nullptr) return *extra->resumed;
  SessionBinding binding;
  copy_start(rules_.policy, binding.policy);
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

bool ServerContext::may_resume(SSL* ssl, SSL_SESSION* session, std::optional<SessionBinding> binding) {
  const auto refuse = [&](TicketEvent why) {
    count(why);
    return false;
  };
  const WallTime now = std::chrono::system_clock::now();
  SslExtraData& extra = *extra_data_of(ssl);
  SessionBinding wanted;
  copy_start(rules_.policy, wanted.policy);
  copy_start(extra.certificate->fingerprint(), wanted.certificate);
  if (!binding || binding->policy != wanted.policy || binding->certificate != wanted.certificate)
    return refuse(TicketEvent::kRefusedPolicy);
  if (epoch_seconds(now) - binding->authenticated_at > shared_->settings.resumption.lifetime.count())
    return refuse(TicketEvent::kExpired);
  if (!rules_.peers->authorize(peer_of(session, *binding).get(), now).allowed)
    return refuse(TicketEvent::kRefusedPolicy);
  extra.resumed = std::make_unique<SessionBinding>(*std::move(binding));
  count(TicketEvent::kResumed);
  return true;
}

void ServerCallbacks::install(ServerContext& context) {
  SSL_CTX* ctx = context.context_.get();
  const config::Tls& settings = context.shared_->settings;
  SSL_CTX_set_app_data(ctx, &context);
  SSL_CTX_set_msg_callback(ctx, message);
  pause_for_permits(ctx);
  SSL_CTX_set_tlsext_servername_callback(ctx, servername);
  SSL_CTX_set_tlsext_status_cb(ctx, status);
  SSL_CTX_set_tlsext_status_arg(ctx, &context);
  if (!settings.alpn.empty()) SSL_CTX_set_alpn_select_cb(ctx, alpn_select, &context);
  if (context.rules_.ask()) {
    SSL_CTX_set_cert_verify_callback(ctx, callable_from_c<cert_verify, 0>, &context);
  }
  if (settings.resumption.tickets) use_tickets(ctx);
  if (context.shared_->keylog != nullptr) SSL_CTX_set_keylog_callback(ctx, keylog);
}

void set_server_callbacks(ServerContext& context) {
  ServerCallbacks::install(context);
}

std::size_t ServerContext::tickets_due(const SSL* ssl) const {
  const config::Resumption& resumption = shared_->settings.resumption;
  if (!resumption.tickets || !takes_records_over() || SSL_version(ssl) != TLS1_3_VERSION) return 0;
  const auto wanted = static_cast<std::size_t>(resumption.per_connection);
  // A client that resumed has used up one ticket.
  return SSL_session_reused(ssl) == 1 ? std::min<std::size_t>(wanted, 1) : wanted;
}

std::vector<std::byte> ServerContext::issue_tickets(SSL* ssl, Octets resumption_secret) {
  const std::size_t count = tickets_due(ssl);
  if (count == 0) return {};
  const WallTime now = std::chrono::system_clock::now();
  const SessionBinding binding = binding_for(ssl, now);
  const std::chrono::seconds age(epoch_seconds(now) - binding.authenticated_at);
  auto messages = ticket_issuer_.issue({.session = SSL_get_session(ssl),
                                        .app_data = binding.encode(),
                                        .resumption_secret = resumption_secret,
                                        .count = count,
                                        .lifetime = shared_->settings.resumption.lifetime - age},
                                       now);
  if (!messages.empty()) metrics_.tickets[static_cast<std::size_t>(TicketEvent::kIssued)].add(count);
  return messages;
}

std::unique_ptr<PeerIdentity> peer_identity(SSL* ssl, SslExtraData& extra) {
  if (SSL_session_reused(ssl) != 1) return std::move(extra.verified_peer);
  return extra.resumed != nullptr ? peer_of(SSL_get_session(ssl), *extra.resumed) : nullptr;
}

}  // namespace headgate
