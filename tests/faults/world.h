#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <string>

#include "base/close_reason.h"
#include "config/config.h"
#include "faults/injection.h"
#include "faults/peers.h"
#include "unit/tls/test_pki.h"
#include "worker/worker.h"

namespace headgate::test {

/// The way that the client of one kind of life speaks to the worker, and the worker to its backend.
struct LifeKind {
  const char* name;
  bool client_tls = true;
  bool starttls = false;       ///< PostgreSQL's, in front of TLS.
  bool proxy_headers = false;  ///< The client begins with one, and the backend gets one.
  bool backend_tls = false;    ///< With a client certificate of ours that has an RSA key.
  bool passthrough = false;
  bool client_certificate = false;
  bool resumes = false;
  bool openssl_records = false;   ///< OpenSSL protects the records.
  std::uint16_t max_version = 0;  ///< Of the client; 0: OpenSSL's own.
  const char* groups = nullptr;   ///< Of the client.
  const char* ciphers = nullptr;  ///< Of TLS 1.2, on both sides.
  const char* key = "P-256";
  int half_close_ms = 0;  ///< timeouts.half_close; 0: so long that no life comes to it.
};
/// GoogleTest would print the bytes of the structure.
inline void PrintTo(const LifeKind& kind, std::ostream* out) {
  *out << kind.name;
}

/// What became of one life.
struct LifeEnd {
  bool struck = false;             ///< The planned call was made.
  std::optional<CloseReason> why;  ///< Nothing: the worker counted no end, or more than one.
  bool whole = false;              ///< The client got every byte, and an end in order.
  std::string fault;               ///< What must not be: empty, or a sentence.
};

/// How much the worker has done before the first life.
enum class Worked : std::uint8_t {
  kNever,   ///< It makes what it makes once: contexts, keys, its other thread.
  kBefore,  ///< It has all that, and the client of a life that resumes has a ticket.
};

/// A real worker on its own thread with a listener of one kind, and another connection of the same worker,
/// which must not notice anything. The peers of both are on the test's thread.
class World {
 public:
  World(const LifeKind& kind, Worked worked);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  /// One connection from its accept to its end, while `plan` is in force.
  [[nodiscard]] LifeEnd live(const FaultPlan& plan);

 private:
  struct Client;
  void configure(const LifeKind& kind, Worked worked);
  void serve();
  void live_without_faults();
  [[nodiscard]] SslPtr client_ssl();
  void turn(const std::vector<int>& also);
  [[nodiscard]] std::string neighbour_talks();
  [[nodiscard]] std::array<std::uint64_t, kCloseReasonCount> ends() const;
  [[nodiscard]] std::string settled();
  template <class Ask>
  auto on_loop(Ask ask);

  LifeKind kind_;
  TemporaryDirectory files_;
  const Issued &authority_, &server_, &client_;
  SslCtxPtr backend_context_, client_context_;
  SessionPtr session_;
  std::unique_ptr<EchoBackend> backend_, neighbours_backend_;
  Fd nowhere_;
  std::unique_ptr<Log> log_;
  config::Config config_;
  MetricsRegistry registry_;
  ServerDirectory directory_;
  std::unique_ptr<Worker> worker_;
  Address address_, neighbours_address_;
  std::unique_ptr<Peer> neighbour_;
  std::size_t descriptors_at_rest_ = 0;
  int lives_ = 0;
};

}  // namespace headgate::test
