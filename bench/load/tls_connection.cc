#include "tls_connection.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <openssl/err.h>

namespace headgate::bench {
namespace {

/// A few for each connection that may be under way.
constexpr std::size_t kMostSessions = 256;

void must(long answer, const std::string& what) {
  if (answer != 1) give_up("OpenSSL does not take " + what);
}

/// What OpenSSL calls the signatures of a kind of key; null for all of them.
const char* signature_list(Signatures signatures) {
  switch (signatures) {
    case Signatures::kAny:
      return nullptr;
    case Signatures::kRsa:
      return "rsa_pss_rsae_sha256:RSA+SHA256";
    case Signatures::kEcdsa:
      return "ECDSA+SHA256";
  }
  std::abort();
}

bool is_connected(int fd) {
  pollfd writable{.fd = fd, .events = POLLOUT, .revents = 0};
  return poll(&writable, 1, 0) == 1;
}

/// What send() or recv() means where it has failed.
Progress after_failed_call() {
  return errno == EAGAIN || errno == EWOULDBLOCK ? Progress::kWait : Progress::kEnded;
}

}  // namespace

Target::Target(const Options& options) : name_(options.name), port_(options.port) {
  if (options.tls == "none") return;
  context_ = SSL_CTX_new(TLS_client_method());
  const int version = options.tls == "1.2" ? TLS1_2_VERSION : TLS1_3_VERSION;
  must(SSL_CTX_set_min_proto_version(context_, version), "the version");
  must(SSL_CTX_set_max_proto_version(context_, version), "the version");
  must(SSL_CTX_set1_groups_list(context_, options.groups.c_str()), "the groups " + options.groups);
  must(SSL_CTX_set_ciphersuites(context_, options.suites.c_str()), "the suites " + options.suites);
  must(SSL_CTX_set_cipher_list(context_, options.ciphers.c_str()), "the ciphers " + options.ciphers);
  if (const char* list = signature_list(options.signatures))
    must(SSL_CTX_set1_sigalgs_list(context_, list), "the signatures");
  SSL_CTX_set_mode(context_, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                 SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(context_, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context_, &Target::keep_session);
  SSL_CTX_set_app_data(context_, this);
}

Target::~Target() {
  SSL_CTX_free(context_);
}

SessionPtr Target::take_session() {
  if (!offer_ || sessions_.empty()) return nullptr;
  SSL_SESSION* const newest = sessions_.back().get();
  if (SSL_SESSION_get_protocol_version(newest) != TLS1_3_VERSION) {
    SSL_SESSION_up_ref(newest);
    return SessionPtr(newest);
  }
  SessionPtr session = std::move(sessions_.back());
  sessions_.pop_back();
  return session;
}

int Target::keep_session(SSL* ssl, SSL_SESSION* session) {
  auto* self = static_cast<Target*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  if (self->sessions_.size() == kMostSessions) return 0;
  self->sessions_.emplace_back(session);
  return 1;  // it is ours now
}

TlsConnection::TlsConnection(Poller& poller, Pollable& owner, Target& target)
    : fd_(connect_from(target.next_source(), target.port())),
      ssl_(target.context() != nullptr ? SSL_new(target.context()) : nullptr) {
  poller.add(fd_, owner);
  if (ssl_ == nullptr) return;
  SSL_set_fd(ssl_, fd_);
  SSL_set_tlsext_host_name(ssl_, target.name().c_str());
  if (const SessionPtr session = target.take_session()) SSL_set_session(ssl_, session.get());
  SSL_set_connect_state(ssl_);
}

TlsConnection::~TlsConnection() {
  SSL_free(ssl_);
  close(fd_);
}

Progress TlsConnection::outcome(int answer) {
  const int error = SSL_get_error(ssl_, answer);
  return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? Progress::kWait : Progress::kEnded;
}

Progress TlsConnection::handshake() {
  if (ssl_ == nullptr) return is_connected(fd_) ? Progress::kDone : Progress::kWait;
  ERR_clear_error();
  const int answer = SSL_do_handshake(ssl_);
  return answer == 1 ? Progress::kDone : outcome(answer);
}

Progress TlsConnection::write(std::span<const char>& left) {
  while (!left.empty()) {
    if (ssl_ == nullptr) {
      const ssize_t sent = send(fd_, left.data(), left.size(), MSG_NOSIGNAL);
      if (sent < 0) return after_failed_call();
      left = left.subspan(static_cast<std::size_t>(sent));
      continue;
    }
    ERR_clear_error();
    std::size_t sent = 0;
    const int answer = SSL_write_ex(ssl_, left.data(), left.size(), &sent);
    if (answer != 1) return outcome(answer);
    left = left.subspan(sent);
  }
  return Progress::kDone;
}

Progress TlsConnection::read(std::span<char> into, std::size_t& got_bytes) {
  if (ssl_ == nullptr) {
    const ssize_t got = recv(fd_, into.data(), into.size(), 0);
    if (got < 0) return after_failed_call();
    got_bytes = static_cast<std::size_t>(got);
    return got > 0 ? Progress::kDone : Progress::kEnded;
  }
  ERR_clear_error();
  const int answer = SSL_read_ex(ssl_, into.data(), into.size(), &got_bytes);
  return answer == 1 ? Progress::kDone : outcome(answer);
}

void TlsConnection::end() {
  ERR_clear_error();
  if (ssl_ != nullptr) SSL_shutdown(ssl_);
  shutdown(fd_, SHUT_WR);
}

void write_request(char what, std::uint64_t size_bytes, std::span<char> into) {
  into[0] = what;
  std::memcpy(into.data() + 1, &size_bytes, sizeof size_bytes);
}

}  // namespace headgate::bench
