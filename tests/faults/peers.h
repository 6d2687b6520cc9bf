#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "net/address.h"
#include "net/fd.h"
#include "tls/library/openssl_types.h"

namespace headgate::test {

/// One end of a connection, on the test's own thread: an OpenSSL client or server, or plain bytes. Nothing
/// blocks.
class Peer {
 public:
  /// `ssl` is null for plain bytes.
  Peer(Fd fd, SslPtr ssl);

  /// Goes on as far as the socket lets it.
  void step();
  /// Sends what is left, and the end, also when no byte comes any more.
  void finish() { write(); }
  /// Sends `bytes` when it can.
  void send(const std::string& bytes) { to_send_ += bytes; }
  /// Ends its direction in order, once everything has been sent.
  void end() { ending_ = true; }

  [[nodiscard]] int descriptor() const { return fd_.number(); }
  [[nodiscard]] bool has_unsent() const { return !broken_ && (!to_send_.empty() || (ending_ && !ended_)); }
  [[nodiscard]] const std::string& received() const { return received_; }
  /// Takes the bytes out of received().
  [[nodiscard]] std::string take() { return std::exchange(received_, {}); }
  void give_up() { stop(true); }
  /// Closes the socket of a peer that is over.
  void close() { fd_.close(); }
  /// No byte comes any more: the other side has ended, or the connection is broken.
  [[nodiscard]] bool is_over() const { return over_; }
  [[nodiscard]] bool is_broken() const { return broken_; }
  [[nodiscard]] SSL* ssl() const { return ssl_.get(); }

 private:
  void handshake();
  void write();
  void read();
  void stop(bool broken);
  /// Whether OpenSSL waits for the socket after it returned `returned`; stops at anything else.
  bool waits(int returned);

  Fd fd_;
  SslPtr ssl_;
  bool established_, ending_ = false, ended_ = false, over_ = false, broken_ = false;
  std::string to_send_, received_;
};

/// A server that sends back what it gets, and ends when the other side has ended. With `context` it speaks
/// TLS.
class EchoBackend {
 public:
  explicit EchoBackend(SSL_CTX* context = nullptr);

  /// Accepts, receives and sends as far as the sockets let it.
  void step();
  [[nodiscard]] std::string address() const;
  [[nodiscard]] std::vector<int> descriptors() const;
  [[nodiscard]] std::size_t open_connections() const { return peers_.size(); }
  /// Each connection begins with a PROXY header of version 1, which is no part of the echo.
  bool expects_proxy_header = false;

 private:
  struct Connection {
    Peer peer;
    bool has_header;
  };
  Fd listening_;
  SSL_CTX* context_;
  std::deque<Connection> peers_;
};

/// A socket that is connected to `address`.
[[nodiscard]] Fd dial(const Address& address);
/// Waits until one of the descriptors has something, for a millisecond at most.
void wait_for_any(const std::vector<int>& descriptors);

}  // namespace headgate::test
