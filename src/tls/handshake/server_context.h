#pragma once

#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "metrics/worker_metrics.h"
#include "tls/certificate/certificate_cache.h"
#include "tls/handshake/listener_tls.h"
#include "tls/handshake/session_binding.h"
#include "tls/handshake/session_tickets.h"
#include "tls/handshake/ssl_extra_data.h"
#include "tls/handshake/ticket_issuer.h"
#include "tls/library/library_context.h"
#include "tls/library/openssl_types.h"

namespace headgate {

/// One worker's side of one listener's TLS policy: an SSL_CTX, the certificates in use, the ticket keys. Each
/// of the listener's rules for clients has a context of its own, so that nothing of one is left in another.
///
/// It belongs to one worker. SSLs made from it live on that worker's loop thread, and each connection holds a
/// reference to the context that made its SSL. Another thread may make it, before the worker sees it. Neither
/// copied nor moved: OpenSSL's callbacks keep its address.
class ServerContext {
 public:
  /// `library` and `metrics` outlive the context; `rules` is an index into those of `shared`. RSA keys are
  /// used on the thread to which `offload` belongs; nullptr: on the loop. Groups that this OpenSSL lacks are
  /// left out. Errors: kInvalid; the text names the setting that OpenSSL does not take.
  [[nodiscard]] static Result<std::shared_ptr<ServerContext>> make(
      const LibraryContext& library, std::shared_ptr<const LibraryContext> offload,
      std::shared_ptr<const ListenerTls> shared, ListenerMetrics& metrics, std::size_t rules = 0);
  ServerContext(const ServerContext&) = delete;
  ServerContext& operator=(const ServerContext&) = delete;

  /// Returns the certificate for this client, which the listener's CertificateStore chooses.
  [[nodiscard]] Selection select(const ClientHello& hello);

  /// Makes an SSL in accept state that presents `certificate`, one of the listener's store, and writes to
  /// `extra`, which outlives it. It has no BIO yet. It is cheapest for the certificate that was the default
  /// when the context was made. Errors: kSystem.
  [[nodiscard]] Result<SslPtr> new_ssl(const StoredCertificate& certificate, SslExtraData& extra);

  /// Whether `ticket`, as a client sent it, was made with a key of this listener that is still in force. The
  /// call does not look at the session in it. About two microseconds.
  [[nodiscard]] bool is_authentic_ticket(Octets ticket, WallTime now);

  /// The number of session tickets that the client of `ssl`, whose handshake is done, still has to get from
  /// Headgate.
  [[nodiscard]] std::size_t tickets_due(const SSL* ssl) const;
  /// Returns tickets_due() NewSessionTicket messages; `resumption_secret` was captured from the handshake. It
  /// changes the session, so `ssl` may not go on. Empty when no tickets are due, or OpenSSL fails.
  [[nodiscard]] std::vector<std::byte> issue_tickets(SSL* ssl, Octets resumption_secret);

  /// The context to which `ssl` belongs.
  [[nodiscard]] static ServerContext& of(const SSL* ssl) {
    return *static_cast<ServerContext*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  }
  [[nodiscard]] const LibraryContext& library() const { return library_; }
  [[nodiscard]] TicketKeys& ticket_keys() { return ticket_keys_; }
  void count(TicketEvent event) { metrics_.tickets[static_cast<std::size_t>(event)].add(); }
  /// The binding of the session of `ssl`, which is about to become a ticket.
  [[nodiscard]] SessionBinding binding_for(const SSL* ssl, WallTime now) const;
  /// Whether `session`, from a ticket that could be opened, may be used for this connection; counts the
  /// answer. `binding` is the session's, if it has one.
  [[nodiscard]] bool may_resume(SSL* ssl, SSL_SESSION* session, std::optional<SessionBinding> binding);

  /// Counts what the finished handshake of `ssl` used of the presented certificate: its staple, and a session
  /// with it where the client offered one.
  void count_use(SSL* ssl, bool offered_session);

  [[nodiscard]] const ListenerTls& shared() const { return *shared_; }
  /// The rules for the clients of this context.
  [[nodiscard]] const ClientRules& rules() const { return rules_; }
  /// Whether Headgate protects the records of TLS 1.3, and so sends the session tickets itself.
  [[nodiscard]] bool takes_records_over() const {
    return shared_->settings.record_layer == config::RecordLayer::kAuto;
  }
  /// Whether the private key of `certificate` is used on another thread.
  [[nodiscard]] bool offloads(const StoredCertificate& certificate) const {
    return certificates_.offloads(certificate);
  }
  [[nodiscard]] SSL_CTX* get() const { return context_.get(); }

 private:
  friend struct ServerCallbacks;
  ServerContext(const LibraryContext& library, std::shared_ptr<const LibraryContext> offload,
                std::shared_ptr<const ListenerTls> shared, ListenerMetrics& metrics, std::size_t rules);

  [[nodiscard]] Result<void> configure();
  [[nodiscard]] Result<void> set_versions_and_options();
  [[nodiscard]] Result<void> set_client_auth();
  [[nodiscard]] Result<void> add_client_cas(const ClientCas& cas);
  [[nodiscard]] Result<void> set_resumption();

  const LibraryContext& library_;
  std::shared_ptr<const ListenerTls> shared_;
  const ClientRules& rules_;  // of shared_
  ListenerMetrics& metrics_;
  CertificateCache certificates_;
  TicketKeys ticket_keys_;
  TicketIssuer ticket_issuer_;
  const StoredCertificate* presented_by_default_ =
      nullptr;              // each SSL presents it unless another one is applied
  std::minstd_rand draws_;  // for canaries
  /// The CAs of `rules_` that vouch for the workloads of one trust domain alone.
  std::map<const ClientCas*, CertificatesPtr> domain_cas_;
  std::string alpn_wire_;  // the listener's protocols, each with its length before it
  SslCtxPtr context_;      // last: its callbacks use the members above
};

/// Returns the identity of the peer of `ssl` after its handshake: from the verification just done, or from
/// the session that was resumed. nullptr for a peer without a certificate.
[[nodiscard]] std::unique_ptr<PeerIdentity> peer_identity(SSL* ssl, SslExtraData& extra);

}  // namespace headgate
