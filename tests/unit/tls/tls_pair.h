#pragma once

#include <memory>
#include <string>
#include <vector>

#include "config/config.h"
#include "metrics/worker_metrics.h"
#include "tls/handshake/server_context.h"
#include "unit/tls/test_pki.h"

namespace headgate::test {

/// The TLS of a listener, from a test's certificates and settings.
struct ListenerFixture {
  config::Listener listener;
  std::vector<std::shared_ptr<const StoredCertificate>> certificates;
  const Issued* client_ca = nullptr;
  std::string crl_pem;
  std::shared_ptr<const TicketSecrets> ticket_secrets;  ///< nullptr: random ones.

  ListenerFixture();
  [[nodiscard]] config::Tls& tls() { return *listener.tls; }
  /// Writes the CA and the CRL to files, and loads the rest as a supervisor does.
  [[nodiscard]] std::shared_ptr<const ListenerTls> build(const ListenerTls* previous = nullptr) const;
};

/// A worker's context with the counters it writes.
struct Server {
  std::unique_ptr<LibraryContext> library;
  std::unique_ptr<ListenerMetrics> metrics;
  std::shared_ptr<ServerContext> context;
  [[nodiscard]] std::uint64_t tickets(TicketEvent event) const {
    return metrics->tickets[static_cast<std::size_t>(event)].value();
  }
};
[[nodiscard]] Server serve(std::shared_ptr<const ListenerTls> shared);

/// How a client connects.
struct ClientOptions {
  std::string server_name = "www.example.com";
  std::string alpn{};  ///< One protocol; empty: none.
  std::string groups{};
  std::string signature_algorithms{};
  std::string cipher_suites{};  ///< Of TLS 1.3, in the client's order.
  std::string ciphers{};        ///< Of TLS 1.2, in the client's order.
  std::uint16_t max_version = 0;
  const Issued* certificate = nullptr;
  SSL_SESSION* session = nullptr;  ///< The client offers to resume it.
  bool staple = false;
};

/// The result of a connection.
struct Outcome {
  bool ok = false;  ///< Both ends finished, and the server's data arrived.
  bool resumed = false;
  std::string served_fingerprint;  ///< Of the certificate that the client got; empty when it got none.
  std::string alpn;
  int version = 0;
  std::string cipher;                                  ///< IANA's name.
  HandshakeFailure failure = HandshakeFailure::kNone;  ///< The server's view.
  std::string refusal_detail;
  int alert_at_client = -1;
  std::uint8_t server_hellos = 0;
  bool selected = true;  ///< False: the listener refuses the name.
  std::string why;       ///< Of the selection.
  std::string staple;
  SessionPtr session;  ///< The newest one the client may resume.
  std::unique_ptr<PeerIdentity> peer;
};

/// One connection between an OpenSSL client and `server`, over memory.
[[nodiscard]] Outcome connect(ServerContext& server, const ClientOptions& options);

}  // namespace headgate::test
