#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "config/config.h"
#include "tls/certificate/certificate.h"
#include "tls/handshake/diagnostic.h"
#include "tls/handshake/ssl_extra_data.h"
#include "tls/library/library_context.h"
#include "tls/library/openssl_types.h"

namespace headgate {

/// The parts of a backend's TLS that come from files. Immutable, shared by all workers; part of a snapshot.
struct BackendTls {
  std::string backend;  ///< Its name.
  config::BackendTls settings;
  std::vector<std::vector<std::byte>> ca_der;            ///< Empty: the system's.
  std::shared_ptr<const StoredCertificate> certificate;  ///< nullptr: no client certificate.

  /// Reads all files that `backend.tls` names. What `before` (nullptr: none) read from a file that cannot be
  /// used now stays in use. Faults go to `out`; returns nullptr when one of them is an error. Supervisor.
  [[nodiscard]] static std::shared_ptr<const BackendTls> load(const config::Backend& backend,
                                                              const BackendTls* before, WallTime now,
                                                              Diagnostics& out);
};

/// The parameters of one connection to a server.
struct ServerRequest {
  std::string server;  ///< The server as configured: a session of one server is not offered to another.
  std::string
      server_name;  ///< SNI and the name to verify; may be an IP address. Empty: no name is sent or verified.
  std::vector<std::string> alpn;  ///< In order of preference.
};

/// How many sessions a worker keeps for one backend.
inline constexpr std::size_t kBackendSessions = 256;

/// One worker's side of one backend's TLS. It verifies by default, and resumes its own sessions per server
/// and name.
///
/// Loop thread of its worker; another thread may make it before. Each connection holds a reference to the
/// context that made its SSL. Neither copied nor moved.
class ClientContext {
 public:
  /// `library` outlives the context. An RSA key is used on the thread to which `offload` belongs; nullptr: on
  /// the caller's. Errors: kInvalid; the text names the setting that OpenSSL does not take.
  [[nodiscard]] static Result<std::shared_ptr<ClientContext>> make(
      const LibraryContext& library, std::shared_ptr<const LibraryContext> offload,
      std::shared_ptr<const BackendTls> shared);
  ClientContext(const ClientContext&) = delete;
  ClientContext& operator=(const ClientContext&) = delete;

  /// Makes an SSL in connect state for `request`, with a session to resume if one is at hand. The SSL writes
  /// to `extra`, which outlives it, and has no BIO yet. Errors: kInvalid (a name that cannot be one),
  /// kSystem.
  [[nodiscard]] Result<SslPtr> new_ssl(const ServerRequest& request, SslExtraData& extra);

  [[nodiscard]] std::size_t session_count() const { return sessions_.size(); }
  [[nodiscard]] const BackendTls& shared() const { return *shared_; }
  /// Whether the private key of the client certificate is used on another thread.
  [[nodiscard]] bool offloads() const;

 private:
  friend struct ClientCallbacks;
  struct KeptSession {
    std::string key;
    SessionPtr session;
  };
  ClientContext(const LibraryContext& library, std::shared_ptr<const LibraryContext> offload,
                std::shared_ptr<const BackendTls> shared);
  [[nodiscard]] Result<void> configure();
  [[nodiscard]] Result<void> set_certificate();
  [[nodiscard]] Result<void> set_trust();
  [[nodiscard]] Result<void> set_name(SSL* ssl, const std::string& server_name) const;
  void forget_session(const std::string& key);
  void keep_session(const std::string& key, SessionPtr session);
  [[nodiscard]] SessionPtr take_session(const std::string& key);

  const LibraryContext& library_;
  std::shared_ptr<const LibraryContext> offload_;
  std::shared_ptr<const BackendTls> shared_;
  std::list<KeptSession> sessions_;  // the newest comes first
  std::unordered_map<std::string, std::list<KeptSession>::iterator> by_key_;
  SslCtxPtr context_;  // last: its callbacks use the members above
};

}  // namespace headgate
