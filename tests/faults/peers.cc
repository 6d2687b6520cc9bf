#include "faults/peers.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/check.h"
#include "net/socket.h"

namespace headgate::test {

Peer::Peer(Fd fd, SslPtr ssl) : fd_(std::move(fd)), ssl_(std::move(ssl)), established_(ssl_ == nullptr) {
  HG_CHECK(::fcntl(fd_.number(), F_SETFL, O_NONBLOCK) == 0);
  if (ssl_) SSL_set_fd(ssl_.get(), fd_.number());
}

void Peer::step() {
  if (over_) return;
  if (!established_) handshake();
  if (!established_) return;
  write();
  read();
  write();
}

void Peer::handshake() {
  ERR_clear_error();
  const int done = SSL_do_handshake(ssl_.get());
  established_ = done == 1;
  if (!established_) waits(done);
}

void Peer::write() {
  while (!to_send_.empty() && !broken_) {
    int size = 0;
    if (ssl_) {
      ERR_clear_error();
      size = SSL_write(ssl_.get(), to_send_.data(), static_cast<int>(to_send_.size()));
      if (size <= 0) {
        waits(size);
        return;
      }
    } else {
      size = static_cast<int>(::send(fd_.number(), to_send_.data(), to_send_.size(), MSG_NOSIGNAL));
      if (size < 0) return errno == EAGAIN ? void() : stop(true);
    }
    to_send_.erase(0, static_cast<std::size_t>(size));
  }
  if (!ending_ || ended_ || broken_) return;
  ended_ = true;
  ERR_clear_error();
  if (ssl_) SSL_shutdown(ssl_.get());
  ::shutdown(fd_.number(), SHUT_WR);
}

void Peer::read() {
  char bytes[16384];
  while (!over_) {
    int size = 0;
    if (ssl_) {
      ERR_clear_error();
      size = SSL_read(ssl_.get(), bytes, sizeof bytes);
      if (size <= 0 && waits(size)) return;
    } else {
      size = static_cast<int>(::recv(fd_.number(), bytes, sizeof bytes, 0));
      if (size < 0 && errno == EAGAIN) return;
      if (size <= 0) stop(size < 0);
    }
    if (size > 0) received_.append(bytes, static_cast<std::size_t>(size));
  }
}

bool Peer::waits(int returned) {
  const int error = SSL_get_error(ssl_.get(), returned);
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return true;
  stop(error != SSL_ERROR_ZERO_RETURN);
  return false;
}

void Peer::stop(bool broken) {
  over_ = true;
  broken_ = broken;
}

EchoBackend::EchoBackend(SSL_CTX* context)
    : listening_(*listen_on(*Address::parse("127.0.0.1:0"), {})), context_(context) {}

void EchoBackend::step() {
  for (;;) {
    Fd fd(::accept4(listening_.number(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd) break;
    SslPtr ssl(context_ == nullptr ? nullptr : SSL_new(context_));
    if (ssl) SSL_set_accept_state(ssl.get());
    peers_.push_back({Peer(std::move(fd), std::move(ssl)), !expects_proxy_header});
  }
  for (Connection& one : peers_) {
    one.peer.step();
    std::string bytes = one.peer.take();
    if (!one.has_header && bytes.find("\r\n") != std::string::npos) {
      bytes.erase(0, bytes.find("\r\n") + 2);
      one.has_header = true;
    }
    one.peer.send(bytes);
    if (one.peer.is_over()) one.peer.end();
    one.peer.finish();
  }
  std::erase_if(peers_, [](const Connection& one) { return one.peer.is_over() && !one.peer.has_unsent(); });
}

std::string EchoBackend::address() const {
  return local_address(listening_.number()).text();
}

std::vector<int> EchoBackend::descriptors() const {
  std::vector<int> all{listening_.number()};
  for (const Connection& one : peers_) all.push_back(one.peer.descriptor());
  return all;
}

Fd dial(const Address& address) {
  Fd fd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  HG_CHECK(::connect(fd.number(), address.data(), address.size_bytes()) == 0);
  return fd;
}

void wait_for_any(const std::vector<int>& descriptors) {
  std::vector<pollfd> watched;
  for (const int fd : descriptors) watched.push_back({.fd = fd, .events = POLLIN, .revents = 0});
  ::poll(watched.data(), watched.size(), 1);
}

}  // namespace headgate::test
