#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <openssl/ssl.h>

#include "loopback.h"
#include "options.h"
#include "poller.h"

namespace headgate::bench {

struct FreeSession {
  void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
};
using SessionPtr = std::unique_ptr<SSL_SESSION, FreeSession>;

/// The proxy as a client sees it, and the sessions that it gave.
class Target {
 public:
  explicit Target(const Options& options);
  ~Target();
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;

  /// Null: no TLS.
  [[nodiscard]] SSL_CTX* context() const { return context_; }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] sockaddr_in next_source() { return sources_.next(); }
  /// Whether new connections offer a session.
  void offer_sessions(bool offer) { offer_ = offer; }
  /// A session to offer; null for none. In TLS 1.3 each is offered once (RFC 8446, appendix C.4), as servers
  /// may insist.
  [[nodiscard]] SessionPtr take_session();

 private:
  static int keep_session(SSL* ssl, SSL_SESSION* session);

  SSL_CTX* context_ = nullptr;
  std::vector<SessionPtr> sessions_;
  std::string name_;
  Sources sources_{kFirstHonestAddress, kHonestAddresses};
  std::uint16_t port_;
  bool offer_ = false;
};

/// What could be done just now. kEnded: in order or not, nothing follows.
enum class Progress { kDone, kWait, kEnded };

/// A non-blocking client connection to the proxy on the loopback, with TLS unless `--tls none` was asked for.
class TlsConnection {
 public:
  /// Begins to connect; `owner` hears when there is more to do.
  TlsConnection(Poller& poller, Pollable& owner, Target& target);
  ~TlsConnection();
  TlsConnection(const TlsConnection&) = delete;
  TlsConnection& operator=(const TlsConnection&) = delete;

  Progress handshake();
  /// Sends all of `left`, taking off the front what has been sent.
  Progress write(std::span<const char>& left);
  /// Reads some bytes; `got_bytes` says how many.
  Progress read(std::span<char> into, std::size_t& got_bytes);
  /// close_notify with TLS, then FIN.
  void end();
  [[nodiscard]] bool resumed() const { return ssl_ != nullptr && SSL_session_reused(ssl_) == 1; }

 private:
  Progress outcome(int answer);

  int fd_;
  SSL* ssl_;  // null without TLS
};

/// Handshakes at once where connections are opened before something else is measured: a proxy that sheds load
/// must not take that for a storm.
inline constexpr std::size_t kOpenedAtOnce = 16;

/// What the backend is asked to do with a connection: 'e' echo, 'u' swallow so many bytes and answer one, 'd'
/// send so many. In front of everything else.
inline constexpr std::size_t kRequestBytes = 9;
void write_request(char what, std::uint64_t size_bytes, std::span<char> into);

}  // namespace headgate::bench
