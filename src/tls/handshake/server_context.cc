#include "tls/handshake/server_context.h"

#include "tls/handshake/server_callbacks.h"
#include "tls/library/algorithms.h"
#include "tls/library/early_data.h"
#include "tls/library/key_use.h"
#include "tls/library/openssl_call.h"
#include "tls/library/ssl_options.h"
#include "tls/library/tickets.h"
#include "tls/record/hkdf.h"

namespace headgate {
namespace {

// A client sends a longer chain only to keep us busy.
constexpr int kMaxChainDepth = 8;

constexpr std::uint64_t kOptions = SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_SSLv3 |
                                   SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1 | SSL_OP_IGNORE_UNEXPECTED_EOF;

std::uint16_t version_number(config::TlsVersion version) {
  return version == config::TlsVersion::kTls13 ? TLS1_3_VERSION : TLS1_2_VERSION;
}

/// Writes each protocol with its length before it. RFC 7301, section 3.1.
std::string alpn_wire_format(const std::vector<std::string>& protocols) {
  std::string wire;
  for (const std::string& protocol : protocols) {
    wire += static_cast<char>(static_cast<unsigned char>(protocol.size()));
    wire += protocol;
  }
  return wire;
}

int verify_mode(const ClientRules& rules) {
  if (!rules.ask()) return SSL_VERIFY_NONE;
  const bool may_lack = rules.only_count || rules.settings.mode == config::ClientAuthMode::kOptional;
  return may_lack ? SSL_VERIFY_PEER : SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
}

}  // namespace

ServerContext::ServerContext(const LibraryContext& library, std::shared_ptr<const LibraryContext> offload,
                             std::shared_ptr<const ListenerTls> shared, ListenerMetrics& metrics,
                             std::size_t rules)
    : library_(library),
      shared_(std::move(shared)),
      rules_(shared_->rules.at(rules)),
      metrics_(metrics),
      certificates_(library, std::move(offload)),
      ticket_keys_(library, shared_->ticket_secrets),
      ticket_issuer_(library, ticket_keys_),
      presented_by_default_(
          shared_->certificates->is_empty() ? nullptr : &shared_->certificates->default_certificate()),
      draws_(std::random_device()()),
      alpn_wire_(alpn_wire_format(shared_->settings.alpn)) {}

Result<std::shared_ptr<ServerContext>> ServerContext::make(const LibraryContext& library,
                                                           std::shared_ptr<const LibraryContext> offload,
                                                           std::shared_ptr<const ListenerTls> shared,
                                                           ListenerMetrics& metrics, std::size_t rules) {
  std::shared_ptr<ServerContext> made(
      new ServerContext(library, std::move(offload), std::move(shared), metrics, rules));
  if (auto configured = made->configure(); !configured) {
    return fail(configured.error().kind,
                "listener " + made->shared_->listener + ": " + configured.error().what);
  }
  return made;
}

Result<void> ServerContext::configure() {
  auto context = call_openssl(ErrorKind::kSystem, "OpenSSL could not make a TLS context", [&] {
    return library_.new_ssl_ctx(TLS_server_method(), shared_->settings.x25519);
  });
  if (!context) return tl::unexpected(std::move(context.error()));
  context_ = *std::move(context);
  if (auto set = set_versions_and_options(); !set) return set;
  if (auto set = set_algorithms(context_.get(), shared_->settings); !set) return set;
  if (auto set = set_client_auth(); !set) return set;
  if (auto set = set_resumption(); !set) return set;
  set_server_callbacks(*this);
  if (presented_by_default_ == nullptr) return {};  // no handshake begins
  return certificates_.apply(context_.get(), *presented_by_default_);
}

Result<void> ServerContext::set_versions_and_options() {
  SSL_CTX* context = context_.get();
  const config::Tls& settings = shared_->settings;
  SSL_CTX_set_options(context, kOptions);
  choose_signatures(context);
  // Chains are complete as configured: completing them from the CAs of clients would send the wrong
  // certificates.
  // Partial writes are off: OpenSSL takes a write of several records whole, since SocketBio takes every byte.
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
  SSL_CTX_set_read_ahead(context, 0);
  skip_early_data(context);
  return call_openssl(ErrorKind::kInvalid, "the TLS library refused to set the versions of TLS", [&] {
    return decide_ciphers(context) &&
           SSL_CTX_set_min_proto_version(context, version_number(settings.min_version)) == 1 &&
           SSL_CTX_set_max_proto_version(context, version_number(settings.max_version)) == 1;
  });
}

Result<void> ServerContext::set_client_auth() {
  SSL_CTX* context = context_.get();
  SSL_CTX_set_verify(context, verify_mode(rules_), nullptr);
  if (!rules_.ask()) return {};

  // Each certificate of the file is trusted, be it a root or not.
  X509_STORE_set_flags(SSL_CTX_get_cert_store(context), X509_V_FLAG_PARTIAL_CHAIN);
  for (const ClientCas& cas : rules_.cas) {
    if (auto added = add_client_cas(cas); !added) return added;
  }
  SSL_CTX_set_verify_depth(context, kMaxChainDepth);
  if (rules_.settings.purpose == config::ClientPurpose::kClient)
    return {};  // OpenSSL's own rule for a server
  return call_openssl(ErrorKind::kSystem, "OpenSSL refused to set the purpose of client certificates",
                      [&] { return SSL_CTX_set_purpose(context, X509_PURPOSE_ANY); });
}

Result<void> ServerContext::add_client_cas(const ClientCas& cas) {
  SSL_CTX* context = context_.get();
  CertificatesPtr stack(sk_X509_new_null());
  for (const auto& der : cas.ders) {
    auto certificate = parse_certificate(der, &library_);
    if (!certificate) return tl::unexpected(certificate.error());
    auto added = call_openssl(ErrorKind::kInvalid, "client_auth.ca", [&] {
      return X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate->get()) == 1 &&
             SSL_CTX_add_client_CA(context, certificate->get()) == 1 &&
             sk_X509_push(stack.get(), certificate->get()) > 0;
    });
    if (!added) return added;
    static_cast<void>(certificate->release());  // the stack's now
  }
  if (!cas.trust_domain.empty()) domain_cas_.emplace(&cas, std::move(stack));
  return {};
}

Result<void> ServerContext::set_resumption() {
  SSL_CTX* context = context_.get();
  const config::Resumption& resumption = shared_->settings.resumption;
  // Sessions live only in tickets. Without tickets no version can resume.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_timeout(context, static_cast<std::uint32_t>(resumption.lifetime.count()));
  const auto* policy = reinterpret_cast<const unsigned char*>(rules_.policy.data());
  if (!resumption.tickets) SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
  // Where Headgate protects the records, it sends the tickets itself.
  const bool by_library = resumption.tickets && !takes_records_over();
  const int count = by_library ? resumption.per_connection : 0;
  return call_openssl(
      ErrorKind::kSystem, "OpenSSL refused to set the session id context or the number of tickets", [&] {
        return SSL_CTX_set_session_id_context(context, policy, static_cast<unsigned>(rules_.policy.size())) ==
                   1 &&
               set_ticket_count(context, static_cast<std::size_t>(count));
      });
}

bool ServerContext::is_authentic_ticket(Octets ticket, WallTime now) {
  if (ticket.size() <= kTicketNameBytes) return false;
  const TicketKey* key = ticket_keys_.find(ticket_name(ticket), now);
  return key != nullptr && is_ticket_of(*key, ticket);
}

void ServerContext::count_use(SSL* ssl, bool offered_session) {
  const SslExtraData& extra = *extra_data_of(ssl);
  const bool resumed = SSL_session_reused(ssl) == 1;
  if (extra.stapled && !resumed) metrics_.ocsp_staples_served.add();
  if (!offered_session) return;
  const std::string_view label = shared_->labels.of(extra.certificate->file());
  metrics_.offered_sessions.of({std::string(label), resumed}).add();
}

Selection ServerContext::select(const ClientHello& hello) {
  CanaryDraw draw;
  if (shared_->certificates->has_canaries()) draw.number = static_cast<std::uint8_t>(draws_() % 100);
  return shared_->certificates->select(hello, std::chrono::system_clock::now(), draw);
}

Result<SslPtr> ServerContext::new_ssl(const StoredCertificate& certificate, SslExtraData& extra) {
  auto made = call_openssl(ErrorKind::kSystem, "OpenSSL could not make a TLS connection",
                           [&] { return SslPtr(SSL_new(context_.get())); });
  if (!made) return made;
  SSL* ssl = made->get();
  if (&certificate != presented_by_default_) {
    if (auto applied = certificates_.apply(ssl, certificate); !applied)
      return tl::unexpected(std::move(applied.error()));
  }
  if (offloads(certificate)) begin_offloading(ssl);
  extra.certificate = &certificate;
  if (auto attached = attach_extra_data(ssl, &extra); !attached)
    return tl::unexpected(std::move(attached.error()));
  SSL_set_accept_state(ssl);
  return made;
}

}  // namespace headgate
